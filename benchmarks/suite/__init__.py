"""Runs every benchmark on a machine that is lent for a while, and packs what came of them."""

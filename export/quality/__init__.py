"""Measures how far a converted model is from its source."""

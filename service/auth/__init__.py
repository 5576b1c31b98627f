"""Decides who may use the service: hashed tokens, and bans for addresses that guess them."""

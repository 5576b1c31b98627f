"""Finds the engine's properties that suit one model on one machine, and keeps them."""

"""Measures servers side by side, in turns, and shows how they stand."""

"""Turns token ids into text as they come."""

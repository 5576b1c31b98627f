"""Loads a server as many clients would, and measures what they see."""

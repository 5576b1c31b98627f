"""Checks what clients send before anything reaches an engine."""

"""Checks that reproducible mode keeps its promise, and measures what it costs."""

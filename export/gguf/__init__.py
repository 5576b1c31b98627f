"""Converts GGUF files without torch."""

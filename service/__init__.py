"""The inference service: a FastAPI process in front of supervised engine processes."""

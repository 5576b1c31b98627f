"""Converts models into the folders that the service serves."""

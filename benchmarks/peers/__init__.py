"""Servers to measure against: how each is installed, prepared and started."""

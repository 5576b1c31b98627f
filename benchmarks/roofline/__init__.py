"""The limits that this machine sets."""

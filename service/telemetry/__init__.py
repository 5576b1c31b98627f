"""What the service tells its operator."""

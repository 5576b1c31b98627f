"""Runs the model in a supervised child process."""

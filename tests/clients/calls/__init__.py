"""Programs that other interpreters run: one per client that can't share the checkout's environment."""

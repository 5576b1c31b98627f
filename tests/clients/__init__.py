"""Official clients, unmodified, against a live server."""

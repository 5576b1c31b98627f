"""What can go wrong around a measurement."""

from service.errors import TiberError


class BenchmarkError(TiberError):
    """A benchmark can't be run, or can't be believed."""

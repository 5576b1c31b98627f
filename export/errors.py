"""The one error that a conversion adds to the tree of service/errors.py."""

from service.errors import TiberError


class ConversionError(TiberError):
    """A conversion can't be done or went wrong; the message says what to do next."""

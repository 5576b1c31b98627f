"""What a verification adds to the tree of service/errors.py."""

from export.errors import ConversionError

EXIT_CODE = 3


class NotVerifiableError(ConversionError):
    """The two models can't be compared here; it says nothing of the converted one."""


class QualityError(ConversionError):
    """The converted model is further from its source than its thresholds allow: exit code 3."""

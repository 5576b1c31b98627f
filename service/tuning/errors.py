"""What can go wrong while tuning."""

from service.errors import TiberError


class TuningError(TiberError):
    """The model can't be tuned here; the message says why, and what to do."""


class CandidateError(TiberError):
    """The engine refused a candidate, or died under it: it is out, the others go on."""

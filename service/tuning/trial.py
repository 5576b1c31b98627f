"""What the search asks of a laboratory."""

from typing import Protocol

from service.tuning.candidate import Candidate, Sample


class Trial(Protocol):
    """A candidate that runs, and does nothing while nobody asks."""

    async def measure(self) -> Sample:
        """One round. Raises: CandidateError when the engine fails."""

    async def logprobs(self) -> list[float]:
        """The log-probability of each token of a fixed text. Raises: CandidateError."""

    async def close(self) -> None:
        """End it; returns when it is gone."""


class Laboratory(Protocol):
    """Runs candidates."""

    most_at_once: int
    """How many trials may be open at a time; at least two."""

    async def open(self, candidate: Candidate) -> Trial:
        """Load and warm up. Raises: CandidateError when the engine refuses the candidate."""

    def fit_rounds(self, round_s: float) -> None:
        """Make later rounds last about so many seconds each, as far as that leaves them meaning."""

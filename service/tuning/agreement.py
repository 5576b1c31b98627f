"""Says whether a candidate computes nearly the same as the exact reference."""

from collections.abc import Sequence
from statistics import fmean

from service.tuning.errors import CandidateError

TOLERANCE = 1.25
"""How many times the yardstick's distance a candidate's may be.

The yardstick is the shipped configuration, whose distance cost two to three points of top-1 agreement and is
accepted. Over some 2,000 tokens the mean's standard error is about 2%: a quarter more is no noise.
"""
FLOOR_NATS = 0.002
"""Distances below it are rounding, and of no interest where the yardstick itself is exact."""


def distance(reference: Sequence[float], found: Sequence[float]) -> float:
    """How far apart two models are on the same text: the mean difference of log-probabilities, in nats.

    Raises:
        CandidateError: they scored different numbers of tokens, or a score is no number.
    """
    if len(reference) != len(found):
        raise CandidateError(f"scored {len(found)} tokens of {len(reference)}")
    mean = fmean(abs(one - other) for one, other in zip(reference, found, strict=True))
    if mean != mean:
        raise CandidateError("its log-probabilities are no numbers")
    return mean


def bound(yardstick: float) -> float:
    """The greatest distance that is good enough, given the shipped configuration's."""
    return max(FLOOR_NATS, TOLERANCE * yardstick)

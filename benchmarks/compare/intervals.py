"""An interval for the median that assumes nothing about the distribution; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from benchmarks.stats import median

WANTED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A median with its interval; `confidence` is the interval's own, from 0 to 1."""

    median: float
    low: float
    high: float
    confidence: float


def estimate(values: Sequence[float]) -> Estimate | None:
    """Bound the median by order statistics, as the sign test does; None for no values.

    The interval from the k-th least to the k-th greatest of n values misses the true median with a chance of
    2 * (C(n, 0) + ... + C(n, k - 1)) / 2^n. The narrowest that holds it with 95% is taken. Under six values
    there is none: least to greatest it is then, with what confidence that has (5 values: 93.75%).
    """
    if not values:
        return None
    ordered = sorted(values)
    count = len(ordered)
    depth = 1
    while 2 * (depth + 1) <= count and coverage(count, depth + 1) >= WANTED:
        depth += 1
    return Estimate(
        median=median(ordered),
        low=ordered[depth - 1],
        high=ordered[count - depth],
        confidence=coverage(count, depth),
    )


def coverage(count: int, depth: int) -> float:
    """The chance that the true median lies between the depth-th least and greatest of `count` values."""
    missed: int = 2 * sum(comb(count, below) for below in range(depth))
    return 1 - missed / float(2**count)

"""Summaries of samples; pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Samples in short, in their own unit."""

    count: int
    p50: float
    p99: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Ratios of paired measurements in short."""

    median: float
    lowest: float
    highest: float


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle. Raises: ValueError for no values."""
    if not values:
        raise ValueError("no values have no median")
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values are at most, interpolated linearly between neighbours.

    Raises:
        ValueError: no values, or `percent` outside 0 to 100.
    """
    if not values:
        raise ValueError("no values have no percentile")
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentile is from 0 to 100, not {percent}")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> Spread | None:
    """Summarise samples; None for no samples."""
    if not values:
        return None
    return Spread(
        count=len(values), p50=percentile(values, 50), p99=percentile(values, 99), highest=max(values)
    )


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Divide pair by pair. Raises: ValueError for unequal lengths or a denominator that is not positive."""
    if any(value <= 0 for value in denominators):
        raise ValueError("a ratio needs positive denominators")
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def summarise_ratios(values: Sequence[float]) -> Ratio | None:
    """Summarise ratios; None for no ratios."""
    if not values:
        return None
    return Ratio(median=median(values), lowest=min(values), highest=max(values))


def gaps(times_s: Sequence[float]) -> list[float]:
    """The time between each two neighbours."""
    return [later - earlier for earlier, later in pairwise(times_s)]

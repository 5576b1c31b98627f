"""Estimates with confidence intervals, by drawing again from what was seen; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 200
_SEED = 7
_LOW, _HIGH = 2.5, 97.5
_PERCENTS = (50, 90, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Many values in short, in their own unit."""

    count: int
    mean: float
    p50: Estimate
    p90: Estimate
    p99: Estimate
    highest: float


def distribution(groups: Sequence[Sequence[float]]) -> Distribution | None:
    """Summarise all values; None when there are none.

    The values of a group, such as the gaps of one stream, belong together: whole groups are drawn
    again, for their values are alike.
    """
    filled = [group for group in groups if group]
    if not filled:
        return None
    owners = np.repeat(np.arange(len(filled)), [len(group) for group in filled])
    values = np.array([value for group in filled for value in group], dtype=np.float64)
    found = [np.percentile(np.repeat(values, draw[owners]), _PERCENTS) for draw in _draws(len(filled))]
    lows, highs = np.percentile(found, (_LOW, _HIGH), axis=0)
    p50, p90, p99 = (
        Estimate(value=float(value), low=float(low), high=float(high))
        for value, low, high in zip(np.percentile(values, _PERCENTS), lows, highs, strict=True)
    )
    return Distribution(
        count=int(values.size),
        mean=float(values.mean()),
        p50=p50,
        p90=p90,
        p99=p99,
        highest=float(values.max()),
    )


def mean(values: Sequence[float]) -> Estimate:
    """The mean of values such as rates in equal pieces of time. Raises: ValueError for none."""
    if not values:
        raise ValueError("no values have no mean")
    array = np.array(values, dtype=np.float64)
    low, high = np.percentile(_draws(array.size) @ array / array.size, (_LOW, _HIGH))
    return Estimate(value=float(array.mean()), low=float(low), high=float(high))


def _draws(count: int) -> NDArray[np.int64]:
    """How often each of `count` is drawn in each round of as many draws: int64 [rounds, count]."""
    return np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=_ROUNDS)

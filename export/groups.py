"""Chooses the group size of INT4 weights."""

from collections.abc import Iterable
from dataclasses import dataclass

from export.errors import ConversionError

GROUP_SIZES = (128, 64, 32, 16)  # 128, 64, 32 are those that OpenVINO recommends
SPARED_SHARE = 0.05  # of the weights: what INT8 may take before a smaller group size is the lesser loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A matrix of `weights` numbers, whose groups run along its channels of size `channel`."""

    name: str
    channel: int
    weights: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """One group size for all layers but `fallback`, which it does not divide: they take INT8 per channel."""

    group_size: int
    fallback: tuple[Layer, ...]


def plan_groups(layers: Iterable[Layer], largest: int) -> GroupPlan:
    """The largest group size, up to `largest`, that leaves next to no weights to INT8.

    NNCF refuses groups that leave a remainder (128 on channels of 576). Where no size divides all
    channels, the one that divides most of the weights is taken.

    Raises:
        ConversionError: when no size divides the channels of any layer.
    """
    every = tuple(layers)
    allowed = SPARED_SHARE * sum(layer.weights for layer in every)
    plans = [_plan(every, size) for size in GROUP_SIZES if size <= largest]
    for plan in plans:
        if _spared(plan) <= allowed:
            return plan
    best = min(plans, key=_spared, default=None)
    if best is None or len(best.fallback) == len(every):
        sizes = sorted({layer.channel for layer in every})
        raise ConversionError(
            f"INT4 needs channels that a group size from {GROUP_SIZES[-1]} to {largest} divides, and this "
            f"model's are {', '.join(map(str, sizes))}: use --weights int8"
        )
    return best


def _plan(layers: tuple[Layer, ...], group_size: int) -> GroupPlan:
    fallback = tuple(layer for layer in layers if layer.channel % group_size)
    return GroupPlan(group_size=group_size, fallback=fallback)


def _spared(plan: GroupPlan) -> int:
    return sum(layer.weights for layer in plan.fallback)

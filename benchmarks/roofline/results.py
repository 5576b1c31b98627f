"""Draws the conclusions from all rounds; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.roofline.cost import ModelCost
from benchmarks.roofline.engine import EngineTimes, Lengths
from benchmarks.roofline.limits import (
    Comparison,
    Machine,
    MemorySpeed,
    compare_decode,
    compare_prefill,
    next_limit,
)
from benchmarks.roofline.profile import Profile
from benchmarks.stats import Ratio, summarise_ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The engine's times, and the memory's speed around them."""

    memory: MemorySpeed
    engine: EngineTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One kind of work in all rounds. `middle`: the round whose part of the limit is the median."""

    tokens: int
    work: float
    middle: Comparison
    reached: Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineResults:
    """All that was measured, counted and concluded. Work: of decode in bytes, of prefill in FLOPs."""

    machine: Machine
    memory: list[MemorySpeed]
    cost: ModelCost
    kv_precision: str
    decode: Reached
    prefill: list[Reached]
    next_limit: str
    profile: Profile | None


def conclude(
    cost: ModelCost,
    machine: Machine,
    rounds: Sequence[Round],
    *,
    lengths: Lengths,
    kv_precision: str,
    profile: Profile | None,
) -> RooflineResults:
    """Compare each round with the machine. Raises: as ModelCost.kv_bytes."""
    context = lengths.mean_context
    decode = _reached(
        context,
        cost.decode_bytes(context, kv_precision),
        [
            compare_decode(
                cost,
                machine,
                one.memory,
                context_tokens=context,
                kv_precision=kv_precision,
                measured_s=one.engine.decode_s,
            )
            for one in rounds
        ],
    )
    return RooflineResults(
        machine=machine,
        memory=[one.memory for one in rounds],
        cost=cost,
        kv_precision=kv_precision,
        decode=decode,
        prefill=[
            _prefill(cost, machine, rounds, place, length) for place, length in enumerate(lengths.prefill)
        ],
        next_limit=next_limit(decode.middle),
        profile=profile,
    )


def _prefill(cost: ModelCost, machine: Machine, rounds: Sequence[Round], place: int, length: int) -> Reached:
    comparisons = [
        compare_prefill(
            cost, machine, one.memory, prompt_tokens=length, measured_s=one.engine.prefill_s[place]
        )
        for one in rounds
    ]
    return _reached(length, cost.prefill_flops(length), comparisons)


def _reached(tokens: int, work: float, comparisons: Sequence[Comparison]) -> Reached:
    ordered = sorted(comparisons, key=lambda one: one.reached)
    summary = summarise_ratios([one.reached for one in ordered])
    assert summary is not None  # noqa: S101 - there is a round at least
    return Reached(tokens=tokens, work=work, middle=ordered[len(ordered) // 2], reached=summary)

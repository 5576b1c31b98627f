"""The arithmetic of limits, with round numbers."""

from dataclasses import replace

import pytest

from benchmarks.roofline.bandwidth import best_time_s
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
from benchmarks.roofline.results import Round, conclude

COST = ModelCost(
    weight_bytes=1000,
    lm_head_bytes=400,
    embedding_row_bytes=0,
    layer_flops=600,
    lm_head_flops=400,
    attention_flops=0,
    kv_elements=0,
    kv_heads=0,
)
MACHINE = Machine(
    f32_flops_per_s=1e3,
    bf16_flops_per_s=2e3,
    int8_flops_per_s=4e3,
    engine_flops_per_s=2e3,
    cached_bytes_per_s=1e9,
)
MEMORY = MemorySpeed(read_bytes_per_s=1000, weight_bytes_per_s=500)


def decode(measured_s: float, *, machine: Machine = MACHINE, memory: MemorySpeed = MEMORY) -> Comparison:
    return compare_decode(COST, machine, memory, context_tokens=0, kv_precision="f32", measured_s=measured_s)


def test_decode_is_bound_by_memory_where_reading_takes_longer() -> None:
    one = decode(4.0)

    assert (one.limit_s, one.kernel_s, one.bound_by) == (1.0, 2.0, "memory")
    assert one.reached == 0.25


def test_decode_is_bound_by_computing_where_memory_is_faster() -> None:
    one = decode(1.0, memory=replace(MEMORY, read_bytes_per_s=1e6))

    assert (one.limit_s, one.bound_by) == (0.25, "computing")


def test_a_kernel_is_never_faster_than_the_limit() -> None:
    one = decode(2.0, memory=replace(MEMORY, weight_bytes_per_s=1e6))

    assert one.kernel_s == one.limit_s


def test_prefill_is_bound_by_the_fastest_kind_of_matrices() -> None:
    one = compare_prefill(COST, MACHINE, MEMORY, prompt_tokens=10, measured_s=6.4)

    assert one.limit_s == (10 * 600 + 400) / 4e3
    assert one.kernel_s == (10 * 600 + 400) / 2e3
    assert one.reached == 0.25


def test_a_prompt_of_one_token_can_be_no_faster_than_its_weights_are_read() -> None:
    one = compare_prefill(COST, MACHINE, MEMORY, prompt_tokens=1, measured_s=1.0)

    assert (one.limit_s, one.bound_by) == (1.0, "memory")


def test_the_next_limit_is_the_larger_part_beyond_the_first() -> None:
    assert "20% is the limit set by memory, 20% what OpenVINO's" in next_limit(decode(5.0))
    assert "60% the rest of the engine. Next limit: the hundreds" in next_limit(decode(5.0))
    assert "Next limit: that multiplication" in next_limit(decode(2.5))


def test_rounds_are_compared_with_their_own_memory_and_the_middle_one_is_shown() -> None:
    rounds = [
        Round(
            memory=replace(MEMORY, read_bytes_per_s=speed),
            engine=EngineTimes(decode_s=decode_s, prefill_s=(6.4,)),
        )
        for speed, decode_s in ((1000.0, 2.0), (500.0, 2.5), (1000.0, 4.0))
    ]

    results = conclude(
        COST,
        MACHINE,
        rounds,
        lengths=Lengths(decode_prompt=4, decoded=2, prefill=(10,)),
        kv_precision="f32",
        profile=None,
    )

    assert (results.decode.reached.lowest, results.decode.reached.highest) == (0.25, 0.8)
    assert results.decode.middle.measured_s == 2.0
    assert results.decode.tokens == 5
    assert results.prefill[0].middle.reached == pytest.approx(0.25)


def test_the_best_time_leaves_out_the_first_round_and_takes_three_at_least() -> None:
    ticks = iter([0.0, 9.0, 10.0, 15.0, 20.0, 27.0])
    rounds = []

    best_s = best_time_s(lambda: rounds.append(1), time_limit_s=1.0, clock=lambda: next(ticks))

    assert best_s == 5.0
    assert len(rounds) == 4

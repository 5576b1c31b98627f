from pathlib import Path

import pytest

from service.cpu import Cpu, read_cpu
from service.tuning.agreement import bound, distance
from service.tuning.allowed import beyond_allowed
from service.tuning.candidate import Candidate, Gain, Sample, gain
from service.tuning.errors import CandidateError, TuningError
from service.tuning.machine_classes import cpu_class, shipped_properties
from service.tuning.objective import is_beyond_noise, score
from service.tuning.plan import make_plan
from service.tuning.space import cpu_stages, other_device_stages


def sample(alone: float, together: float = 1000, ttft_s: float = 0.1) -> Sample:
    return Sample(alone_per_s=alone, together_per_s=together, ttft_s=ttft_s)


def cpu(*flags: str, physical: int = 2, logical: int = 2, nodes: int = 1) -> Cpu:
    return Cpu(
        model="m", vendor="v", flags=flags, physical_cores=physical, logical_cores=logical, numa_nodes=nodes
    )


def test_gains_are_ratios_of_medians_and_a_quicker_first_token_is_one() -> None:
    found = gain([sample(100), sample(900), sample(110, ttft_s=0.05)], [sample(50), sample(55), sample(60)])
    assert found.alone == pytest.approx(110 / 55)
    assert found.together == 1
    assert found.first_token == 1
    assert gain([sample(1, ttft_s=0.05)], [sample(1)]).first_token == pytest.approx(2)


def test_latency_counts_the_first_token_for_a_third() -> None:
    wanted = Gain(alone=1.0, together=0.1, first_token=8.0)
    assert score("latency", wanted) == pytest.approx(2.0)


def test_balanced_is_the_geometric_mean_until_too_much_is_lost() -> None:
    wanted = Gain(alone=4.0, together=1.0, first_token=1.0)
    assert score("balanced", wanted, usual_together=1.05) == pytest.approx(2.0)
    assert score("balanced", wanted, usual_together=1.5) < 1.0


def test_a_gain_of_one_in_a_hundred_is_noise_and_so_is_one_that_few_rounds_show() -> None:
    control = [sample(100)] * 3
    assert not is_beyond_noise("balanced", [sample(102)] * 3, control)
    assert not is_beyond_noise(
        "latency", [sample(150), sample(150), sample(90)], [sample(100), *[sample(160)] * 2]
    )
    assert is_beyond_noise("balanced", [sample(110)] * 3, control)


def test_distance_is_the_mean_difference_and_unequal_lengths_are_a_failure() -> None:
    assert distance([-1.0, -2.0], [-1.5, -2.1]) == pytest.approx(0.3)
    with pytest.raises(CandidateError, match="scored 1 tokens of 2"):
        distance([-1.0, -2.0], [-1.0])
    with pytest.raises(CandidateError, match="no numbers"):
        distance([-1.0], [float("nan")])


def test_the_bound_is_a_quarter_above_the_yardstick_and_never_below_rounding() -> None:
    assert bound(0.08) == pytest.approx(0.1)
    assert bound(0.0) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (("amx_tile", "avx512_vnni", "avx2"), "AMX"),
        (("avx512_vnni", "avx2"), "AVX-512 VNNI"),
        (("avx2",), "AVX2"),
        ((), "AVX2"),
    ],
)
def test_a_machine_is_of_the_first_class_whose_flags_it_has(flags: tuple[str, ...], name: str) -> None:
    assert cpu_class(flags).name == name


def test_only_a_cpu_has_shipped_properties() -> None:
    assert shipped_properties("CPU", ()) == {
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64",
    }
    assert shipped_properties("GPU", ()) == {}


def tried(machine: Cpu, *, exact_only: bool = False) -> list[Candidate]:
    best = Candidate(name="b", properties=shipped_properties("CPU", machine.flags))
    return [one for stage in cpu_stages(machine, exact_only=exact_only) for one in stage.vary(best)]


def test_bfloat16_is_tried_only_where_the_cpu_computes_in_it() -> None:
    assert not [one for one in tried(cpu("avx2")) if one.properties.get("INFERENCE_PRECISION_HINT") == "bf16"]
    assert [one for one in tried(cpu("amx_bf16")) if one.properties.get("INFERENCE_PRECISION_HINT") == "bf16"]


def test_hyper_threads_and_single_nodes_are_tried_only_where_there_are_some() -> None:
    assert not [one for one in tried(cpu()) if "ENABLE_HYPER_THREADING" in one.properties]
    big = tried(cpu(physical=8, logical=16, nodes=2))
    assert [
        one.properties["INFERENCE_NUM_THREADS"] for one in big if "INFERENCE_NUM_THREADS" in one.properties
    ] == [
        "16",
        "7",
        "4",
    ]


def test_candidates_have_names_of_their_own_and_none_is_the_control_again() -> None:
    found = tried(cpu("amx_bf16", physical=8, logical=16, nodes=2))
    assert len({one.name for one in found}) == len(found)
    assert all(one.name != "b" for one in found)


def test_reproducible_varies_nothing_that_changes_what_is_computed() -> None:
    plan = make_plan("reproducible", 60, device="CPU", cpu=cpu())
    assert plan.control.is_exact
    assert all(one.is_exact for stage in plan.stages for one in stage.vary(plan.control))


def test_other_devices_are_searched_less_and_refused_what_nobody_knows() -> None:
    plan = make_plan("balanced", 60, device="GPU", cpu=cpu())
    names = [one.name for stage in plan.stages for one in stage.vary(plan.control)]
    assert "shipped, kv u8" in names
    assert not [name for name in names if "pinned" in name]
    with pytest.raises(TuningError, match="GPU"):
        make_plan("reproducible", 60, device="GPU", cpu=cpu())


def test_all_that_can_be_found_may_be_stored() -> None:
    machine = cpu("amx_bf16", physical=64, logical=128, nodes=2)
    best = Candidate(name="b", properties=shipped_properties("CPU", machine.flags))
    stages = [*cpu_stages(machine, exact_only=False), *other_device_stages()]
    for one in [best, *(one for stage in stages for one in stage.vary(best))]:
        limits = {"max_batched_tokens": one.max_batched_tokens, "max_running": one.max_running}
        assert beyond_allowed(one.properties, **limits) is None


def test_threads_are_of_the_cores_that_the_process_may_use(tmp_path: Path) -> None:
    # Eight cores of two hyper-threads each; the second ones are numbered after all first ones.
    blocks = [f"processor : {number}\nphysical id : 0\ncore id : {number % 8}\n" for number in range(16)]
    (tmp_path / "cpuinfo").write_text("\n".join(blocks))

    def counts(allowed: set[int]) -> set[str | None]:
        machine = read_cpu(allowed=allowed, proc=tmp_path, sys=tmp_path)
        return {one.properties.get("INFERENCE_NUM_THREADS") for one in tried(machine)}

    assert counts({0, 1, 2, 3}) == {None, "3"}
    # Two cores, both threads of each.
    assert counts({0, 1, 8, 9}) == {None, "1", "4"}

"""The timed steps are told apart from what ran before them."""

from datetime import timedelta
from types import SimpleNamespace

import openvino

from benchmarks.roofline import profile
from benchmarks.roofline.profile import OperationShare, Profile


def info(name: str, kind: str, mean_us: int, *, has_run: bool = True) -> SimpleNamespace:
    status = openvino.ProfilingInfo.Status
    return SimpleNamespace(
        node_name=name,
        node_type=kind,
        real_time=timedelta(microseconds=mean_us),
        status=status.EXECUTED if has_run else status.NOT_RUN,
    )


def test_means_over_all_runs_become_means_over_the_timed_steps() -> None:
    # 5 runs of 74 us, then 32 of 37 us: a mean of 42 us over all 37 runs.
    before = [info("a", "MatMul", 74), info("b", "MatMul", 37), info("c", "Add", 9)]
    after = [info("a", "MatMul", 42), info("b", "MatMul", 37), info("c", "Add", 9, has_run=False)]

    (share,) = profile._shares(before, after)

    assert (share.kind, share.count) == ("MatMul", 2)
    assert abs(share.time_s - (37e-6 + 37e-6)) < 1e-6


def test_what_no_operation_took_is_the_time_between_them() -> None:
    shares = [OperationShare(kind="MatMul", count=1, time_s=3.0)]

    assert Profile(step_s=4.0, shares=shares).between_s == 1.0
    assert Profile(step_s=2.0, shares=shares).between_s == 0.0

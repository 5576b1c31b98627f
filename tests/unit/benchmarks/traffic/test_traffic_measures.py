"""The figures of a measurement, against ones computed by hand."""

from typing import Any

import pytest

from benchmarks.traffic.bootstrap import distribution, mean
from benchmarks.traffic.jobs import TrafficResult
from benchmarks.traffic.measures import measure
from benchmarks.traffic.run import Stage, TrafficResults
from benchmarks.traffic.samples import Failure, Sample
from benchmarks.traffic.slo import Slo


def sample(due_s: float = 0.0, **others: Any) -> Sample:
    """Due, sent 0.1 s later, chunks 0.5, 0.6 and 1.0 s after it was due, ended at 1.0 s."""
    told: dict[str, Any] = {
        "sent_s": due_s + 0.1,
        "ended_s": due_s + 1.0,
        "chunk_times_s": [due_s + 0.5, due_s + 0.6, due_s + 1.0],
        "prompt_tokens": 10,
        "output_tokens": 6,
        "queue_s": 0.02,
    }
    return Sample(due_s=due_s, **(told | others))


def failed(kind: str, due_s: float = 0.0) -> Sample:
    return sample(due_s, chunk_times_s=[], output_tokens=None, failure=Failure(kind=kind, reason="seen"))


def result(*samples: Sample, unfinished: int = 0) -> TrafficResult:
    return TrafficResult(samples=list(samples), unfinished=unfinished, was_stopped=False)


def test_latencies_count_from_the_time_a_request_was_due() -> None:
    seen = measure(result(sample(5.0)), None)
    medians_s = {
        name: getattr(seen, name).p50.value
        for name in ("ttft_s", "end_to_end_s", "tpot_s", "send_delay_s", "queue_s")
    }
    assert medians_s == pytest.approx(
        {"ttft_s": 0.5, "end_to_end_s": 1.0, "tpot_s": 0.5 / 5, "send_delay_s": 0.1, "queue_s": 0.02}
    )
    assert seen.itl_s
    assert (seen.itl_s.count, seen.itl_s.highest) == (2, pytest.approx(0.4))


def test_throughput_is_over_the_time_from_the_first_due_to_the_last_end() -> None:
    seen = measure(result(sample(0.0), sample(1.0)), None)
    assert seen.window_s == pytest.approx(2.0)
    assert seen.requests_per_s.value == pytest.approx(1.0)
    assert seen.answers_per_s == pytest.approx(1.0)
    assert seen.output_tokens_per_s.value == pytest.approx(6.0)
    assert seen.total_tokens_per_s.value == pytest.approx(16.0)
    assert seen.tokens_per_chunk == pytest.approx(2.0)


def test_failures_are_counted_by_kind_and_left_out_of_the_latencies() -> None:
    seen = measure(
        result(sample(), failed("timeout"), failed("status 500"), failed("timeout"), unfinished=3), None
    )
    assert seen.failures == {"timeout": 2, "status 500": 1}
    assert seen.reasons == ["timeout: seen", "status 500: seen"]
    assert (seen.answered, seen.unfinished) == (1, 3)
    assert seen.ttft_s
    assert seen.ttft_s.count == 1


def test_goodput_counts_answers_that_kept_every_objective() -> None:
    late = sample(0.0, chunk_times_s=[0.7, 0.8, 1.0])
    choppy = sample(0.0, chunk_times_s=[0.1, 0.2, 1.0])
    seen = measure(result(sample(), late, choppy, failed("timeout")), Slo.from_spec("ttft=500ms,itl=400ms"))
    assert seen.goodput_per_s == pytest.approx(1.0)
    assert seen.good_share == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("objective", "is_met"),
    [("e2e=1s", True), ("e2e=999ms", False), ("tpot=100ms", True), ("tpot=90ms", False)],
)
def test_objectives_may_be_of_the_whole_answer(objective: str, is_met: bool) -> None:
    assert Slo.from_spec(objective).is_met(sample()) == is_met


def test_a_single_token_has_no_time_per_token_to_fail_by() -> None:
    assert Slo.from_spec("tpot=1ms,itl=1ms").is_met(sample(chunk_times_s=[0.5], output_tokens=1))


def test_nothing_measured_has_no_figures_rather_than_wrong_ones() -> None:
    seen = measure(result(), Slo.from_spec("ttft=1s"))
    assert (seen.answered, seen.ttft_s, seen.goodput_per_s, seen.good_share) == (0, None, None, None)


def test_an_interval_holds_its_value_and_is_the_same_each_time() -> None:
    groups = [[float(value)] for value in range(100)]
    found = distribution(groups)
    assert found == distribution(groups)
    assert found
    assert (found.count, found.mean, found.highest) == (100, 49.5, 99)
    assert (found.p50.value, found.p90.value) == (49.5, pytest.approx(89.1))
    # The standard error of a median of 100 even values is about 5.
    assert 35 < found.p50.low < 45
    assert 54 < found.p50.high < 65


def test_values_that_belong_together_make_wider_intervals_than_the_same_ones_apart() -> None:
    groups = [[float(number)] * 50 for number in range(10)]
    together, apart = distribution(groups), distribution([[value] for group in groups for value in group])
    assert together
    assert apart
    assert together.p50.value == apart.p50.value
    assert together.p50.high - together.p50.low > 2 * (apart.p50.high - apart.p50.low)


def test_a_mean_of_equal_values_is_certain_and_one_of_none_is_an_error() -> None:
    found = mean([2.0] * 10)
    assert (found.value, found.low, found.high) == (2, 2, 2)
    with pytest.raises(ValueError, match="no mean"):
        mean([])


def test_a_run_whose_requests_were_all_broken_off_has_answered_none() -> None:
    seen = measure(result(unfinished=3), None)
    stage = Stage(arrival="closed:3", offered_per_s=None, measures=seen, was_stopped=True)
    results = TrafficResults(stages=[stage], borne_per_s=None)
    assert (results.answered, results.failed) == (0, 0)

"""Rounds put together, computed by hand."""

import json

import pytest

from benchmarks.client import Reply
from benchmarks.compare.measurement import Measured, summarise
from benchmarks.compare.summary import figures, versus
from benchmarks.errors import BenchmarkError


def reply(sent_s: float, *times_s: float, tokens: int = 2) -> Reply:
    usage = {"usage": {"prompt_tokens": 5, "completion_tokens": tokens}}
    times = [*times_s, times_s[-1], times_s[-1]]
    content = json.dumps(usage).encode()
    return Reply(status=200, sent_s=sent_s, ended_s=99.0, event_times_s=times, content=content)


def measured(scale: float) -> Measured:
    """Two streams of two tokens in `4 * scale` seconds."""
    replies = [reply(0.0, 1 * scale, 2 * scale), reply(0.0, 3 * scale, 4 * scale)]
    return summarise([replies], tokens=2, cpu_s=1.0, others_cpu_s=0.0)


def test_a_round_runs_from_the_first_request_to_the_last_token() -> None:
    one = measured(0.5)

    assert (one.round.wall_s, one.round.tokens, one.round.tokens_per_s) == (2.0, 4, 2.0)
    assert (one.ttft_s, one.itl_s) == ([0.5, 1.5], [0.5, 0.5])
    assert (one.round.ttft_p50_s, one.round.prompt_tokens, one.round.events) == (1.0, 10, 4)


def test_time_between_bursts_does_not_count() -> None:
    bursts = [[reply(0.0, 1.0, 2.0)], [reply(10.0, 11.0, 12.0)]]

    one = summarise(bursts, tokens=2, cpu_s=None, others_cpu_s=None)

    assert (one.round.wall_s, one.round.tokens_per_s) == (4.0, 1.0)


def test_one_wrong_stream_spoils_the_round() -> None:
    with pytest.raises(BenchmarkError, match="1 of 2 requests failed; the first: 1 tokens instead of 2"):
        summarise(
            [[reply(0.0, 1.0, 2.0), reply(0.0, 1.0, tokens=1)]], tokens=2, cpu_s=None, others_cpu_s=None
        )


def test_ratios_are_of_the_same_round() -> None:
    found = {"ours": [measured(1.0), measured(1.0)], "peer": [measured(2.0), measured(4.0)]}

    ratio = versus("ours", "peer", found)

    assert ratio.by_round["tokens_per_s"] == [2.0, 4.0]
    assert ratio.by_round["ttft_p99_s"] == [0.5, 0.25]
    assert (ratio.estimates["tokens_per_s"].median, ratio.estimates["tokens_per_s"].high) == (3.0, 4.0)


def test_a_peer_whose_tokens_come_together_has_no_ratio_of_their_gaps() -> None:
    together = summarise([[reply(0.0, 1.0, 1.0)]], tokens=2, cpu_s=None, others_cpu_s=None)

    assert set(versus("a", "b", {"a": [measured(1.0)], "b": [together]}).by_round) == {
        "tokens_per_s",
        "ttft_p50_s",
        "ttft_p99_s",
    }


def test_samples_of_all_rounds_are_summarised_together() -> None:
    found = figures([measured(1.0), measured(3.0)])

    assert (found.ttft_s.count, found.ttft_s.highest) == (4, 9.0)
    assert found.tokens_per_s.median == pytest.approx((1.0 + 1 / 3) / 2)
    assert found.disturbed_rounds == 0


def test_a_round_in_which_others_worked_is_disturbed() -> None:
    busy = summarise([[reply(0.0, 1.0, 2.0)]], tokens=2, cpu_s=1.0, others_cpu_s=1000.0)

    assert busy.is_disturbed

"""How a burst and a crash are judged."""

from dataclasses import replace

from benchmarks.burst import summarise
from benchmarks.client import Reply
from benchmarks.crash import CrashSettings, judge

ANSWER = Reply(status=200, sent_s=0.0, ended_s=2.0, event_times_s=[], content=b'{"generated_text":"a"}')
REFUSAL = replace(ANSWER, status=429, ended_s=0.1, content=b"{}")
HUNG = replace(ANSWER, status=None, ended_s=60.0, failure="no whole answer", is_hung=True)
ERROR_EVENT = b'{"error":{"message":"gone","code":503}}'
CUT = replace(ANSWER, ended_s=10.3, event_times_s=[1.0, 2.0, 10.3], content=ERROR_EVENT)
SETTINGS = CrashSettings(streams=2, tokens=9, prompt_words=4, seed=1, end_limit_s=1.0, answer_limit_s=15.0)


def test_a_burst_is_good_when_as_many_as_allowed_are_answered_and_the_rest_refused() -> None:
    results = summarise([ANSWER] * 2 + [REFUSAL] * 3, allowed=2)

    assert (results.is_exact, results.faults, results.statuses) == (True, [], {200: 2, 429: 3})
    assert (results.longest_s, results.longest_refusal_s) == (2.0, 0.1)


def test_fewer_than_allowed_need_no_refusal() -> None:
    assert summarise([ANSWER] * 2, allowed=100).is_exact


def test_a_burst_with_another_count_is_not_exact() -> None:
    assert not summarise([ANSWER] * 3 + [REFUSAL] * 2, allowed=2).is_exact


def test_hangs_broken_connections_and_other_statuses_are_faults() -> None:
    lost = replace(ANSWER, status=None, failure="the connection was lost")
    broken = replace(ANSWER, status=500)
    empty = replace(ANSWER, content=b"{}")

    assert summarise([ANSWER, HUNG, lost, broken, empty], allowed=100).faults == [
        "1 hung",
        "the connection was lost",
        "status 200 without a text",
        "1 answers of status 500",
    ]


def test_a_crash_is_good_when_all_end_with_an_error_event_in_time() -> None:
    results = judge([CUT, CUT], SETTINGS, killed_s=10.0, answered_at_s=13.0)

    assert results.faults == []
    assert (results.error_events, results.tokens_before) == (2, 4)
    assert (round(results.last_end_s, 3), results.answered_s) == (0.3, 3.0)


def test_a_stream_that_ends_otherwise_is_a_fault() -> None:
    whole = replace(CUT, content=b'{"generated_text":"a"}')

    results = judge([CUT, whole], SETTINGS, killed_s=10.0, answered_at_s=13.0)

    assert results.error_events == 1
    assert results.other_ends == ['status 200, ended with b\'{"generated_text":"a"}\'']


def test_late_ends_and_late_answers_are_faults() -> None:
    late = replace(CUT, ended_s=11.5)

    assert judge([late], SETTINGS, killed_s=10.0, answered_at_s=26.0).faults == [
        "the last stream ended 1.50 s after the kill",
        "no good answer within 15 s of the kill",
    ]
    assert judge([CUT], SETTINGS, killed_s=10.0, answered_at_s=None).faults == [
        "no good answer within 15 s of the kill"
    ]

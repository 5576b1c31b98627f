"""What the command line says in short: workloads, arrivals, objectives."""

from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.traffic.schedules import Closed, Limit, Sweep, Timed, read_arrival
from benchmarks.traffic.slo import Slo
from benchmarks.traffic.specs import read_duration_s
from benchmarks.traffic.workloads import Ask, Workload
from service.errors import ConfigError


def workload(spec: str, seed: int = 1) -> Workload:
    return Workload.from_spec(spec, seed=seed, model=None)


def asks(spec: str, count: int) -> list[Ask]:
    asked = workload(spec)
    return [asked.ask(number) for number in range(count)]


def words(ask: Ask) -> int:
    return len(ask.text.split())


def due(text: str, limit: Limit, seed: int = 1) -> tuple[float, ...]:
    schedule = read_arrival(text, limit, seed=seed)
    assert isinstance(schedule, Timed)
    return schedule.due_s


def test_fixed_lengths_are_what_was_asked_for_and_no_prompt_comes_twice() -> None:
    found = asks("fixed:in=20,out=7", 50)
    assert {(words(ask), ask.output_tokens) for ask in found} == {(20, 7)}
    assert len({ask.text for ask in found}) == 50


def test_the_same_seed_makes_the_same_requests_and_another_makes_others() -> None:
    assert workload("sharegpt").ask(3) == workload("sharegpt").ask(3)
    assert workload("sharegpt").ask(3) != workload("sharegpt", seed=2).ask(3)


def test_another_part_has_other_words_of_the_same_lengths() -> None:
    spec = "uniform:in_min=5,in_max=50"
    parts = [Workload.from_spec(spec, seed=1, model=None, part=part) for part in ("a", "b", "a")]
    first, second, again = ([one.ask(number) for number in range(50)] for one in parts)
    assert first == again
    assert not {ask.text for ask in first} & {ask.text for ask in second}
    assert [(words(ask), ask.output_tokens) for ask in first] == [
        (words(ask), ask.output_tokens) for ask in second
    ]


def test_uniform_lengths_stay_within_their_bounds() -> None:
    found = asks("uniform:in_min=5,in_max=8,out_min=2,out_max=3", 200)
    assert {words(ask) for ask in found} == {5, 6, 7, 8}
    assert {ask.output_tokens for ask in found} == {2, 3}


def test_half_of_lognormal_lengths_are_below_the_median_and_none_above_the_most() -> None:
    found = sorted(words(ask) for ask in asks("lognormal:in=100,in_sigma=1,in_max=300", 1001))
    assert 90 < found[500] < 110
    assert found[-1] == 300


def test_conversations_are_of_very_different_lengths_with_the_means_that_are_known_of_sharegpt() -> None:
    found = asks("sharegpt", 2000)
    assert 170 < fmean(words(ask) for ask in found) < 270
    assert 150 < fmean(ask.output_tokens for ask in found) < 250
    assert sum(words(ask) < 30 for ask in found) > 500


def test_a_shared_prefix_is_shared_and_what_follows_is_not() -> None:
    first, second = (ask.text.split() for ask in asks("shared-prefix:prefix=100,in=10", 2))
    assert first[:100] == second[:100]
    assert first[100:] != second[100:]
    assert len(first) == len(second) == 110


def test_a_picture_belongs_to_each_request_of_vision() -> None:
    first, second = asks("vision:side=64,in=8", 2)
    assert first.picture
    assert first.picture != second.picture


@pytest.mark.parametrize(
    ("spec", "taught"),
    [
        ("fixd", "fixed:in=128,out=64"),
        ("fixed:inn=4", "takes in, out, not 'inn'"),
        ("fixed:in", "in is a number above 0, not ''"),
        ("fixed:in=-4", "above 0"),
        ("lognormal:in=0.5", "one token at the least"),
        ("uniform:in_min=9,in_max=3", "in_min is more than in_max"),
        ("uniform:in_min=2.5", "whole number"),
        ("vision:side=4000", "1024"),
        ("fixed:in=2.5", "in is a whole number, not 2.5"),
        ("shared-prefix:out=1.5", "out is a whole number"),
        ("fixed:in=4,in=5", "has in twice"),
        ("fixed:in=nan", "above 0, not 'nan'"),
        ("lognormal:in=300,in_max=200", "in is more than in_max"),
    ],
)
def test_a_wrong_workload_is_answered_with_what_would_be_right(spec: str, taught: str) -> None:
    with pytest.raises(ConfigError, match=taught):
        workload(spec)


def test_constant_arrivals_have_equal_gaps_until_the_limit() -> None:
    assert due("constant:2", Limit(duration_s=2)) == (0, 0.5, 1, 1.5)
    assert due("constant:2", Limit(requests=2, duration_s=9)) == (0, 0.5)


def test_poisson_arrivals_come_at_their_rate_with_gaps_of_all_sizes() -> None:
    times_s = due("poisson:4", Limit(requests=4000))
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    assert fmean(gaps_s) == pytest.approx(0.25, rel=0.05)
    # Of an exponential distribution 1 - 1/e lies below its mean.
    assert sum(gap < 0.25 for gap in gaps_s) / len(gaps_s) == pytest.approx(0.632, abs=0.03)
    assert times_s == due("poisson:4", Limit(requests=4000))
    assert times_s != due("poisson:4", Limit(requests=4000), seed=2)


def test_clients_and_sweeps_are_read() -> None:
    limit = Limit(requests=3)
    assert read_arrival("closed:64", limit, seed=1) == Closed(concurrency=64, limit=limit)
    assert read_arrival("sweep", limit, seed=1) == Sweep(steps=5, concurrency=64)
    assert read_arrival("sweep:steps=2,concurrency=8", limit, seed=1) == Sweep(steps=2, concurrency=8)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "timestamp,other\n12.5,x\n10,y\n"),
        ("a.jsonl", '{"timestamp": 10}\n\n{"timestamp": 12.5}\n'),
    ],
)
def test_a_trace_begins_with_its_first_request(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert due(f"trace:{tmp_path / name}", Limit()) == (0, 2.5)


@pytest.mark.parametrize(
    ("name", "content", "taught"),
    [
        ("a.csv", "time\n1\n", "no number called 'timestamp'"),
        ("a.jsonl", "{\n", "line 1: no JSON"),
        ("a.jsonl", "[1]\n", "no number called 'timestamp'"),
        ("a.csv", "", "no lines"),
        ("a.csv", "timestamp\nnan\n", "record 1: no number"),
        ("a.csv", "other,timestamp\nx\n", "record 1: no number"),
        ("a.jsonl", '{"timestamp": Infinity}\n', "record 1: no number"),
    ],
)
def test_a_trace_that_cannot_be_read_says_where(tmp_path: Path, name: str, content: str, taught: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=taught):
        due(f"trace:{tmp_path / name}", Limit())


@pytest.mark.parametrize(
    "text",
    [
        *("closed", "closed:1.5", "closed:x", "poisson:0", "poisson:nan", "trace:", "often"),
        *("sweep:to=3", "sweep:steps=2.5", "sweep:concurrency=1", "sweep:concurrency=2.5"),
    ],
)
def test_a_wrong_arrival_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        read_arrival(text, Limit(requests=1), seed=1)


def test_objectives_are_read_with_their_units() -> None:
    assert Slo.from_spec("ttft=500ms, itl=0.1").limits_s == {"ttft": 0.5, "itl": 0.1}
    assert read_duration_s("2m", "a time") == 120


@pytest.mark.parametrize("text", ["", "ttft", "ttft=5 apples", "speed=3s", "ttft=nans", "ttft=1s,ttft=2s"])
def test_wrong_objectives_are_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="ttft"):
        Slo.from_spec(text)

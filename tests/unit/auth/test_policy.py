"""The ban policy, against a plain model that keeps the whole history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.policy import BanPolicy, Failures
from service.errors import ConfigError

POLICY = BanPolicy()


def fail_at(times: list[float], policy: BanPolicy = POLICY) -> Failures | None:
    failures = None
    for now in times:
        failures = policy.after_failure(failures, now)
    return failures


def ban_starts(times: list[float], policy: BanPolicy) -> list[float]:
    """Find when bans start, from the rule as the documentation words it."""
    starts: list[float] = []
    run: list[float] = []
    for now in times:
        if starts and now < starts[-1] + policy.ban_s:
            continue
        run = [*run, now] if run and now <= run[-1] + policy.reset_s else [now]
        if len(run) == policy.max_failures:
            starts.append(now)
            run = []
    return starts


def test_defaults_are_the_documented_numbers() -> None:
    assert (POLICY.max_failures, POLICY.ban_s, POLICY.reset_s) == (5, 300.0, 1800.0)


def test_fifth_failure_bans_for_300_seconds() -> None:
    four = fail_at([0, 1, 2, 3])
    five = fail_at([0, 1, 2, 3, 4])
    assert four is not None
    assert four.ban_left_s(3) == 0
    assert five is not None
    assert five.ban_left_s(4) == 300
    assert five.ban_left_s(303.5) == 0.5
    assert five.ban_left_s(304) == 0


@pytest.mark.parametrize(("gap", "is_ban"), [(1800.0, True), (1800.001, False)])
def test_only_failures_within_reset_of_the_one_before_add_up(gap: float, is_ban: bool) -> None:
    failures = fail_at([0, 10, 20, 30, 30 + gap])
    assert failures is not None
    assert failures.is_ban is is_ban
    assert failures.count == (5 if is_ban else 1)


def test_slow_failures_ban_when_each_is_within_reset_of_the_last() -> None:
    failures = fail_at([0, 1700, 3400, 5100, 6800])
    assert failures is not None
    assert failures.is_ban


def test_failures_during_a_ban_do_not_prolong_it() -> None:
    failures = fail_at([0, 0, 0, 0, 0, 100, 299])
    assert failures is not None
    assert failures.until == 300


def test_count_starts_from_zero_after_the_ban() -> None:
    failures = fail_at([0, 0, 0, 0, 0, 300])
    assert failures == Failures(count=1, is_ban=False, until=2100)


@given(
    gaps=st.lists(st.integers(0, 15), max_size=60),
    policy=st.builds(
        BanPolicy,
        max_failures=st.integers(1, 5),
        ban_s=st.integers(1, 20),
        reset_s=st.integers(1, 12),
    ),
)
def test_bans_start_exactly_where_the_rule_says(gaps: list[int], policy: BanPolicy) -> None:
    times = [float(sum(gaps[: index + 1])) for index in range(len(gaps))]
    failures = None
    for index, now in enumerate(times):
        failures = policy.after_failure(failures, now)
        starts = ban_starts(times[: index + 1], policy)
        expected = max(0.0, starts[-1] + policy.ban_s - now) if starts else 0.0
        assert failures.ban_left_s(now) == expected


@pytest.mark.parametrize(
    "numbers", [{"max_failures": 0}, {"ban_s": 0}, {"reset_s": -1}, {"ban_s": float("nan")}]
)
def test_numbers_that_decide_nothing_are_refused_by_name(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(numbers))):
        BanPolicy(**numbers)  # type: ignore[arg-type]  # the mix of int and float is the point

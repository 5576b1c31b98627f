"""Steps as large as they may be on CPUs that compute many rows in another way than few."""

from collections.abc import Iterator

import pytest

from service.engine.backends.rows import Rows
from service.engine.backends.step_size import StepSize, fit, fit_uncut, most_tokens
from service.errors import ConfigError

LIMITS = {"max_batched_tokens": 256, "max_running": 100}
# What was measured with AVX2 alone, of two models.
NARROW = [Rows(2, 80), Rows(81, 260)]
NARROW_FROM_FIVE = [Rows(2, 4), Rows(5, 80), Rows(81, 260)]


def test_where_all_rows_are_alike_a_step_holds_what_was_asked_for_and_our_own() -> None:
    most = most_tokens(2, **LIMITS)
    assert fit([Rows(2, most)], 2, **LIMITS) == StepSize(least_rows=2, beside=2, max_running=100, tokens=260)


def test_a_step_is_as_narrow_as_the_rows_that_are_alike_and_fewer_requests_run() -> None:
    assert fit(NARROW, 2, **LIMITS) == StepSize(least_rows=2, beside=2, max_running=56, tokens=80)


def test_rows_too_few_to_run_in_are_passed_over() -> None:
    expected = StepSize(least_rows=5, beside=5, max_running=50, tokens=80)
    assert fit(NARROW_FROM_FIVE, 2, **LIMITS) == expected


def test_no_more_rows_are_tried_than_it_takes() -> None:
    def parts() -> Iterator[Rows]:
        yield Rows(2, 80)
        raise AssertionError("tried on")

    assert fit(parts(), 2, **LIMITS).tokens == 80


def test_threads_that_leave_no_room_are_refused_with_a_number_that_does() -> None:
    with pytest.raises(ConfigError, match=r"64 threads.* 80 rows.*INFERENCE_NUM_THREADS to 26"):
        fit([Rows(2, 80)], 64, **LIMITS)
    assert fit([Rows(2, 80)], 26, **LIMITS).max_running == 8
    with pytest.raises(ConfigError):
        fit([Rows(2, 80)], 27, **LIMITS)


def test_prompts_that_no_step_cuts_need_many_rows_alike() -> None:
    assert fit_uncut([Rows(2, 4), Rows(5, 512)], 2, **LIMITS).least_rows == 5
    with pytest.raises(ConfigError, match="vision model on this CPU, which computes 81 rows and more"):
        fit_uncut(NARROW, 2, **LIMITS)

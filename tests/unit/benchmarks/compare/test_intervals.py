"""Intervals for a median, computed by hand."""

import pytest

from benchmarks.compare.intervals import Estimate, coverage, estimate


def test_five_values_reach_from_least_to_greatest_with_their_own_confidence() -> None:
    # Missed only when all five lie on one side: 2 / 32.
    assert estimate([3.0, 1.0, 2.0, 5.0, 4.0]) == Estimate(median=3.0, low=1.0, high=5.0, confidence=0.9375)


def test_nine_values_leave_out_one_at_each_end() -> None:
    # 1 - 2 * (1 + 9) / 512; leaving out two would miss with 2 * (1 + 9 + 36) / 512 = 18%.
    found = estimate([float(value) for value in range(1, 10)])

    assert found == Estimate(median=5.0, low=2.0, high=8.0, confidence=1 - 20 / 512)


def test_six_values_are_the_first_to_hold_95_percent() -> None:
    assert coverage(5, 1) < 0.95 < coverage(6, 1) == pytest.approx(1 - 2 / 64)


def test_one_value_is_sure_of_nothing() -> None:
    assert estimate([2.0]) == Estimate(median=2.0, low=2.0, high=2.0, confidence=0.0)


def test_no_values_have_no_interval() -> None:
    assert estimate([]) is None

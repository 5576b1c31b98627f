"""Summaries of samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import Ratio, gaps, median, percentile, ratios, spread, summarise_ratios

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1)


def test_percentiles_are_interpolated_between_neighbours() -> None:
    assert percentile([10.0, 20.0, 30.0, 40.0], 50) == 25.0
    assert percentile([10.0, 20.0], 99) == pytest.approx(19.9)


def test_the_order_of_the_samples_does_not_matter() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0


def test_a_single_sample_is_every_percentile() -> None:
    assert [percentile([7.0], percent) for percent in (0, 50, 99, 100)] == [7.0] * 4


@given(NUMBERS)
def test_the_ends_are_the_lowest_and_the_highest(values: list[float]) -> None:
    assert percentile(values, 0) == min(values)
    assert percentile(values, 100) == max(values)


@given(NUMBERS)
def test_the_median_is_the_50th_percentile(values: list[float]) -> None:
    assert median(values) == pytest.approx(percentile(values, 50))


@pytest.mark.parametrize("percent", [-1, 100.5])
def test_a_percentile_outside_0_to_100_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        percentile([1.0], percent)


def test_nothing_has_no_summary() -> None:
    assert spread([]) is None
    assert summarise_ratios([]) is None
    with pytest.raises(ValueError, match="no values"):
        median([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_spread_counts_its_samples() -> None:
    summary = spread([float(value) for value in range(101)])

    assert summary is not None
    assert (summary.count, summary.p50, summary.p99, summary.highest) == (101, 50.0, 99.0, 100.0)


def test_ratios_are_taken_pair_by_pair_and_only_then_summarised() -> None:
    pairs = ratios([90.0, 10.0, 33.0], [100.0, 5.0, 30.0])

    assert pairs == [0.9, 2.0, 1.1]
    assert summarise_ratios(pairs) == Ratio(median=1.1, lowest=0.9, highest=2.0)


def test_unpaired_values_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        ratios([1.0], [1.0, 2.0])


def test_a_side_that_made_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratios([1.0], [0.0])


def test_gaps_lie_between_neighbours() -> None:
    assert gaps([1.0, 1.5, 1.5, 4.0]) == [0.5, 0.0, 2.5]
    assert gaps([1.0]) == []

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConversionError
from export.quantise import GROUP_SIZES, pick_group_size

channels = st.lists(st.integers(min_value=1, max_value=600).map(lambda count: count * 16), min_size=1)


@given(channels)
def test_the_group_size_divides_every_channel(sizes: list[int]) -> None:
    assert all(size % pick_group_size(sizes) == 0 for size in sizes)


@given(channels)
def test_no_larger_known_group_size_would_do(sizes: list[int]) -> None:
    picked = pick_group_size(sizes)
    assert all(any(size % larger for size in sizes) for larger in GROUP_SIZES if larger > picked)


def test_the_default_model_gets_groups_of_64() -> None:
    assert pick_group_size([576, 1536]) == 64


def test_channels_that_nothing_divides_are_refused_with_what_to_do() -> None:
    with pytest.raises(ConversionError, match="use --weights int8"):
        pick_group_size([128, 100])

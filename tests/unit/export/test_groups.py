import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ConversionError
from export.groups import GROUP_SIZES, SPARED_SHARE, Layer, plan_groups

channels = st.integers(min_value=1, max_value=20_000)
layers = st.lists(
    st.builds(Layer, name=st.text(min_size=1, max_size=4), channel=channels, weights=st.integers(1, 10**9)),
    max_size=20,
)
largest = st.sampled_from(GROUP_SIZES)


def layer(channel: int, weights: int = 1_000) -> Layer:
    return Layer(name=f"of {channel}", channel=channel, weights=weights)


@given(layers, largest)
def test_the_group_size_divides_every_channel_it_is_applied_to(some: list[Layer], limit: int) -> None:
    try:
        plan = plan_groups(some, limit)
    except ConversionError:
        assert all(one.channel % size for one in some for size in GROUP_SIZES if size <= limit)
        return
    assert plan.group_size <= limit
    applied = [one for one in some if one not in plan.fallback]
    assert all(one.channel % plan.group_size == 0 for one in applied)
    assert all(one.channel % plan.group_size for one in plan.fallback)


@given(layers, largest)
def test_a_smaller_group_size_would_spare_no_layer_of_weight_from_int8(some: list[Layer], limit: int) -> None:
    try:
        plan = plan_groups(some, limit)
    except ConversionError:
        return
    total = sum(one.weights for one in some)
    spared = sum(one.weights for one in plan.fallback)
    if spared > SPARED_SHARE * total:
        for size in GROUP_SIZES:
            if size <= limit:
                assert spared <= sum(one.weights for one in some if one.channel % size)


def test_the_default_model_gets_groups_of_64() -> None:
    plan = plan_groups([layer(576), layer(1536)], 128)
    assert (plan.group_size, plan.fallback) == (64, ())


def test_one_small_odd_layer_takes_int8_rather_than_make_all_groups_smaller() -> None:
    plan = plan_groups([layer(4096, 10**6), layer(96, 10)], 128)
    assert (plan.group_size, [one.channel for one in plan.fallback]) == (128, [96])


def test_many_odd_layers_get_a_smaller_group_size() -> None:
    assert plan_groups([layer(4096), layer(96)], 128).group_size == 32


def test_channels_that_nothing_divides_are_refused_with_what_to_do() -> None:
    with pytest.raises(ConversionError, match=r"this model's are 100, 130: use --weights int8"):
        plan_groups([layer(130), layer(100)], 128)

"""Lengths are checked before an engine sees them, and the messages have both numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import GenerationRequest, RawRequest, TokenLimits
from service.errors import ValidationError
from service.prompt.validation import check_parameters, validate

LIMITS = TokenLimits(max_input=90, max_total=100, default_new=20, default_chat=50)


def raw(**changes: Any) -> RawRequest:
    return RawRequest(**{"prompt": "a", **changes})


def checked(prompt_tokens: int, **changes: Any) -> GenerationRequest:
    request = raw(**changes)
    check_parameters(request, LIMITS)
    return validate(request, list(range(prompt_tokens)), LIMITS, lambda: 1)


@pytest.mark.parametrize(
    ("prompt_tokens", "changes", "param", "numbers"),
    [
        (1, {"prompt": ""}, "inputs", ()),
        (0, {}, "inputs", ()),
        (91, {}, "inputs", ("90", "91")),
        (1, {"max_new_tokens": 100}, "max_new_tokens", ("100", "1 + 100")),
        (90, {"max_new_tokens": 11}, "max_new_tokens", ("100", "90 + 11")),
        (1, {"max_new_tokens": 4, "min_new_tokens": 5}, "min_new_tokens", ("4", "5")),
        (90, {"min_new_tokens": 11}, "min_new_tokens", ("100", "90 + 11")),
        (1, {"truncate": 91}, "truncate", ("90", "91")),
        (1, {"temperature": 0, "do_sample": True}, "temperature", ()),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_with_its_name_and_numbers(
    prompt_tokens: int, changes: dict[str, Any], param: str, numbers: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as refusal:
        checked(prompt_tokens, **changes)
    assert refusal.value.param == param
    assert f"`{param}`" in refusal.value.message
    for number in numbers:
        assert number in refusal.value.message


@pytest.mark.parametrize(
    ("prompt_tokens", "changes", "max_new_tokens"),
    [
        (90, {"max_new_tokens": 10}, 10),
        (1, {"max_new_tokens": 99}, 99),
        (1, {"max_new_tokens": 1}, 1),
        (10, {}, 20),
        (80, {}, 20),
        (81, {}, 19),
        (90, {}, 10),
        (10, {"min_new_tokens": 30}, 30),
        (90, {"min_new_tokens": 10}, 10),
        (500, {"truncate": 90}, 10),
        (500, {"truncate": 1, "max_new_tokens": 99}, 99),
    ],
    ids=str,
)
def test_what_is_asked_for_is_given_and_the_default_is_clipped(
    prompt_tokens: int, changes: dict[str, Any], max_new_tokens: int
) -> None:
    assert checked(prompt_tokens, **changes).sampling.max_new_tokens == max_new_tokens


def test_truncate_keeps_the_last_tokens() -> None:
    assert checked(8, truncate=3).prompt_ids == [5, 6, 7]
    assert checked(2, truncate=3).prompt_ids == [0, 1]


@given(
    prompt_tokens=st.integers(0, 120),
    max_new_tokens=st.none() | st.integers(1, 120),
    min_new_tokens=st.integers(0, 120),
    truncate=st.none() | st.integers(1, 120),
)
def test_whatever_passes_fits_the_model(
    prompt_tokens: int, max_new_tokens: int | None, min_new_tokens: int, truncate: int | None
) -> None:
    try:
        request = checked(
            prompt_tokens, max_new_tokens=max_new_tokens, min_new_tokens=min_new_tokens, truncate=truncate
        )
    except ValidationError:
        return
    sampling = request.sampling
    assert 1 <= len(request.prompt_ids) <= LIMITS.max_input
    assert len(request.prompt_ids) + sampling.max_new_tokens <= LIMITS.max_total
    assert 0 <= sampling.min_new_tokens <= sampling.max_new_tokens
    assert sampling.max_new_tokens >= 1
    assert max_new_tokens in (None, sampling.max_new_tokens)

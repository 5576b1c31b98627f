"""Which parameters mean sampling, and what the others become when left out."""

from collections.abc import Callable
from typing import Any

import pytest

from service.domain import Grammar, RawRequest
from service.errors import ValidationError
from service.prompt.sampling import choose, resolve


def raw(**changes: Any) -> RawRequest:
    return RawRequest(prompt="a", **changes)


def drawn() -> int:
    return 42


def never_drawn() -> int:
    raise AssertionError("a seed was drawn")


@pytest.mark.parametrize(
    ("given", "do_sample"),
    [
        ({}, False),
        ({"temperature": 0.7}, True),
        ({"temperature": 1.0}, True),
        ({"top_p": 0.9}, True),
        ({"top_p": 1.0}, True),
        ({"top_k": 1}, True),
        ({"seed": 0}, True),
        ({"do_sample": True}, True),
        ({"do_sample": False}, False),
        ({"do_sample": False, "temperature": 0.7, "top_p": 0.5, "top_k": 3, "seed": 1}, False),
        ({"temperature": 0}, False),
        ({"temperature": 0, "seed": 1}, False),
        ({"temperature": 0, "top_k": 5, "top_p": 0.5}, False),
        ({"temperature": 0, "do_sample": False}, False),
        ({"repetition_penalty": 1.2, "frequency_penalty": 1, "presence_penalty": -1}, False),
        ({"stop": ("x",), "max_new_tokens": 5, "min_new_tokens": 1, "ignore_eos": True}, False),
        ({"grammar": Grammar(kind="regex", value="a")}, False),
        ({"logprobs": True}, False),
    ],
    ids=str,
)
def test_do_sample_decides_when_given_else_any_sampling_parameter(
    given: dict[str, Any], do_sample: bool
) -> None:
    assert choose(raw(**given)).do_sample is do_sample
    draw: Callable[[], int] = drawn if do_sample else never_drawn
    sampling = resolve(raw(**given), 10, draw)
    assert sampling.do_sample is do_sample
    assert (sampling.seed is not None) is do_sample


def test_sampling_at_temperature_0_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="`temperature` must be above 0") as refusal:
        choose(raw(temperature=0, do_sample=True))
    assert refusal.value.param == "temperature"


def test_a_given_seed_is_used_and_a_missing_one_drawn() -> None:
    assert resolve(raw(seed=0), 10, never_drawn).seed == 0
    assert resolve(raw(seed=2**63 - 1), 10, never_drawn).seed == 2**63 - 1
    assert resolve(raw(temperature=0.5), 10, drawn).seed == 42


def test_a_temperature_that_float32_would_make_0_stays_above_it() -> None:
    assert resolve(raw(temperature=1e-300), 10, drawn).temperature >= 1e-6


def test_what_is_left_out_is_off() -> None:
    sampling = resolve(raw(), 10, never_drawn)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (1.0, 1.0, None)
    assert (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty) == (1, 0, 0)
    assert (sampling.min_new_tokens, sampling.ignore_eos, sampling.logprobs) == (0, False, False)
    assert (sampling.max_new_tokens, sampling.grammar) == (10, None)


def test_what_is_given_arrives() -> None:
    grammar = Grammar(kind="regex", value="a+")
    given: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 7,
        "repetition_penalty": 1.5,
        "frequency_penalty": -2.0,
        "presence_penalty": 2.0,
        "seed": 9,
        "min_new_tokens": 3,
        "ignore_eos": True,
        "logprobs": True,
        "grammar": grammar,
    }
    sampling = resolve(raw(**given), 10, never_drawn)
    assert {name: getattr(sampling, name) for name in given} == given

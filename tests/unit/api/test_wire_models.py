"""What a body may hold: types are strict, ranges are closed where documented, unknown fields are named."""

from typing import Any

import pydantic
import pytest

from service.api.invalid import describe_invalid
from service.api.mapping import to_raw, warnings_of
from service.api.wire import GenerateBody, Parameters
from service.domain import Grammar
from service.errors import ValidationError


def read(**parameters: Any) -> Parameters:
    return Parameters.model_validate(parameters)


def complaint(**parameters: Any) -> str:
    body = {"inputs": "a", "parameters": parameters}
    with pytest.raises(pydantic.ValidationError) as error:
        GenerateBody.model_validate(body)
    # The framework puts the body's own place first.
    return describe_invalid([{**one, "loc": ("body", *one["loc"])} for one in error.value.errors()], body)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("max_new_tokens", [1, 2**31 - 1], [0, -1, 2**31, 1.0, 1.5, "5", True, [1], 10**400]),
        ("min_new_tokens", [0, 2**31 - 1], [-1, "0", 0.0, True]),
        ("temperature", [0, 0.0, 1, 1e-300, 100], [-0.1, 100.1, "0.7", True, float("nan"), float("inf")]),
        ("top_p", [1, 1.0, 0.5, 1e-6], [0, 0.0, -1, 1.0000001, "0.5", True, float("nan")]),
        ("top_k", [1, 2**31 - 1], [0, -1, "3", 1.0, True]),
        ("repetition_penalty", [0.5, 1, 2], [0, -1, "1", float("inf")]),
        ("frequency_penalty", [-2, 0, 2, 1.5], [-2.01, 2.01, "0"]),
        ("presence_penalty", [-2, 0, 2, -1.5], [-2.01, 2.01, "0"]),
        ("seed", [0, 2**63 - 1], [-1, 2**63, "1", 1.0, True]),
        ("stop", [[], ["x"] * 16, ["x" * 1024]], [["x"] * 17, [""], ["x" * 1025], "x", [1], ["\ud800"]]),
        ("do_sample", [True, False], [1, 0, "true"]),
        ("return_full_text", [True, False], [1, "no"]),
        ("details", [True, False], [1, "yes"]),
        ("ignore_eos", [True, False], [1, "yes"]),
        ("watermark", [True, False], [0, "yes"]),
        ("decoder_input_details", [True, False], [0, "yes"]),
        ("truncate", [1, 2**31 - 1], [0, -1, "1"]),
        ("best_of", [1, 16], [0, 17, "1"]),
        ("top_n_tokens", [0, 1], [-1, "1"]),
        ("typical_p", [0.95, 1], [0, 1.1, "1"]),
        ("adapter_id", ["x"], [1]),
        (
            "grammar",
            [{"type": "regex", "value": "a"}],
            ["a", {"type": "regex"}, {"type": "regex", "value": 1}],
        ),
    ],
)
def test_a_parameter_takes_its_documented_values_and_null_and_no_others(
    name: str, good: list[Any], bad: list[Any]
) -> None:
    for value in (None, *good):
        assert read(**{name: value}) is not None
    for value in bad:
        assert f"`parameters.{name}" in complaint(**{name: value})


def test_every_parameter_is_covered_above() -> None:
    mark = next(
        one
        for one in test_a_parameter_takes_its_documented_values_and_null_and_no_others.pytestmark  # type: ignore[attr-defined]
        if one.name == "parametrize"
    )
    assert {row[0] for row in mark.args[1]} == set(Parameters.model_fields)


def test_unknown_fields_are_named() -> None:
    assert complaint(max_tokens=5) == "`parameters.max_tokens` is not a known parameter"
    with pytest.raises(pydantic.ValidationError, match="inputz"):
        GenerateBody.model_validate({"inputs": "a", "inputz": 1})


def test_a_complaint_never_repeats_a_text() -> None:
    assert "private" not in complaint(stop="private", adapter_id=["private"], temperature="private")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"typical_p": 0.5}, "typical_p"),
        ({"watermark": True}, "watermark"),
        ({"top_n_tokens": 2}, "top_n_tokens"),
        ({"adapter_id": "x"}, "adapter_id"),
        ({"top_n_tokens": 1, "do_sample": True}, "top_n_tokens"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 2, "temperature": 0}, "best_of"),
        ({"best_of": 2, "seed": 3}, "seed"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_by_name(parameters: dict[str, Any], named: str) -> None:
    body = GenerateBody.model_validate({"inputs": "a", "parameters": parameters})
    with pytest.raises(ValidationError, match=named) as refusal:
        to_raw(body, is_stream=False)
    assert refusal.value.param == named


@pytest.mark.parametrize("parameters", [{"best_of": 2, "do_sample": True}, {"decoder_input_details": True}])
def test_what_tgi_has_no_stream_for_is_refused_in_one(parameters: dict[str, Any]) -> None:
    body = GenerateBody.model_validate({"inputs": "a", "parameters": {**parameters, "details": True}})
    with pytest.raises(ValidationError, match="streaming") as refusal:
        to_raw(body, is_stream=True)
    assert refusal.value.param in parameters
    assert to_raw(body, is_stream=False).prompt_logprobs is ("decoder_input_details" in parameters)


@pytest.mark.parametrize(
    ("parameters", "is_warned"),
    [
        ({"typical_p": 0.95, "watermark": False}, True),
        ({"typical_p": 1.0}, False),
        ({"typical_p": None}, False),
        ({"best_of": 1, "top_n_tokens": 0, "adapter_id": None, "decoder_input_details": False}, False),
        (None, False),
    ],
)
def test_a_clients_harmless_defaults_pass(parameters: dict[str, Any] | None, is_warned: bool) -> None:
    body = GenerateBody.model_validate({"inputs": "a", "parameters": parameters})
    assert to_raw(body, is_stream=True).prompt == "a"
    assert ("typical_p" in warnings_of(body).get("warning", "")) is is_warned


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ({"type": "regex", "value": "a+"}, Grammar(kind="regex", value="a+")),
        (
            {"type": "json", "value": {"type": "object"}},
            Grammar(kind="json_schema", value='{"type":"object"}'),
        ),
        ({"type": "json", "value": '{"a": 1}'}, Grammar(kind="json_schema", value='{"a": 1}')),
        (
            {"type": "json_schema", "value": {"name": "n", "schema": {"type": "object"}}},
            Grammar(kind="json_schema", value='{"type":"object"}'),
        ),
        (
            {"type": "json_schema", "value": {"type": "array"}},
            Grammar(kind="json_schema", value='{"type":"array"}'),
        ),
    ],
)
def test_every_form_of_a_grammar_arrives(given: dict[str, Any], domain: Grammar) -> None:
    body = GenerateBody.model_validate({"inputs": "a", "parameters": {"grammar": given}})
    assert to_raw(body, is_stream=True).grammar == domain


def test_what_is_given_arrives_and_what_is_not_stays_unset() -> None:
    given: dict[str, Any] = {
        "max_new_tokens": 5,
        "min_new_tokens": 2,
        "ignore_eos": True,
        "do_sample": False,
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 5,
        "repetition_penalty": 1.5,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "seed": 7,
        "truncate": 3,
    }
    body = GenerateBody.model_validate({"inputs": "text", "parameters": {**given, "stop": ["a", "b"]}})
    raw = to_raw(body, is_stream=True)
    assert {name: getattr(raw, name) for name in given} == given
    assert (raw.prompt, raw.stop, raw.logprobs) == ("text", ("a", "b"), False)
    bare = to_raw(GenerateBody.model_validate({"inputs": "text"}), is_stream=True)
    assert {getattr(bare, name) for name in given if name not in ("min_new_tokens", "ignore_eos")} == {None}
    detailed = GenerateBody.model_validate({"inputs": "a", "parameters": {"details": True}})
    assert to_raw(detailed, is_stream=True).logprobs

"""A grammar is bounded, and refused beside what would make the answer break it."""

import json
from typing import Any

import pytest

from service.domain import FieldNames, Grammar, RawRequest
from service.errors import ValidationError
from service.prompt.grammar import MAX_CHARACTERS, check_grammar

SCHEMA = Grammar(kind="json_schema", value='{"type": "object"}')
REGEX = Grammar(kind="regex", value="[a-z]+")
TAGS = Grammar(kind="structural_tags", value='{"triggers": ["<"], "tags": []}')


def nested(depth: int) -> str:
    return '{"items":' * depth + "{}" + "}" * depth


@pytest.mark.parametrize("grammar", [None, SCHEMA, REGEX, TAGS], ids=str)
def test_a_request_with_or_without_a_grammar_passes(grammar: Grammar | None) -> None:
    check_grammar(RawRequest(prompt="a", grammar=grammar, temperature=2.0, repetition_penalty=1.5))


def test_without_a_grammar_nothing_is_refused() -> None:
    check_grammar(RawRequest(prompt="a", ignore_eos=True, min_new_tokens=5, stop=("x",)))


@pytest.mark.parametrize(
    ("grammar", "beside", "param"),
    [
        (SCHEMA, {"ignore_eos": True}, "ignore_eos"),
        (REGEX, {"ignore_eos": True}, "ignore_eos"),
        (TAGS, {"ignore_eos": True}, "ignore_eos"),
        (SCHEMA, {"min_new_tokens": 1}, "min_tokens"),
        (SCHEMA, {"stop": ("}",)}, "stop"),
    ],
    ids=str,
)
def test_what_would_break_the_answer_is_refused_by_name(
    grammar: Grammar, beside: dict[str, Any], param: str
) -> None:
    names = FieldNames(grammar="response_format", min_new_tokens="min_tokens")
    with pytest.raises(ValidationError, match=f"`{param}` can't be used with `response_format`") as refusal:
        check_grammar(RawRequest(prompt="a", grammar=grammar, names=names, **beside))
    assert refusal.value.param == param


@pytest.mark.parametrize("grammar", [REGEX, TAGS], ids=str)
def test_a_stop_string_may_end_what_is_no_json(grammar: Grammar) -> None:
    check_grammar(RawRequest(prompt="a", grammar=grammar, stop=("x",)))


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("regex", "a" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS} characters; it has 65537"),
        ("json_schema", json.dumps({"enum": list(range(10_001))}), "at most 10000 values"),
        ("json_schema", nested(100), "at most 100 levels"),
        ("json_schema", nested(5_000), "JSON"),
        ("json_schema", "{", "JSON"),
        ("json_schema", '{"const": NaN}', "JSON"),
        ("structural_tags", "[" * 200 + "]" * 200, "at most 100 levels"),
    ],
    ids=["long", "many", "deep", "deepest", "cut", "not a number", "deep tags"],
)
def test_a_grammar_beyond_the_bounds_is_refused_with_the_bound(kind: Any, value: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refusal:
        check_grammar(RawRequest(prompt="a", grammar=Grammar(kind=kind, value=value)))
    assert refusal.value.param == "grammar"


@pytest.mark.parametrize(
    "value", ["a" * MAX_CHARACTERS, json.dumps({"enum": list(range(9_990))}), nested(90)], ids=len
)
def test_a_grammar_within_the_bounds_passes(value: str) -> None:
    kind: Any = "regex" if value.startswith("a") else "json_schema"
    check_grammar(RawRequest(prompt="a", grammar=Grammar(kind=kind, value=value)))

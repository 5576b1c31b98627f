"""Grammars hold a model to calls that the client's own schemas accept."""

import json
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from service.errors import ValidationError
from service.manifest import ToolFormat
from service.prompt.tool_choice import forced_call, strict_tags
from service.text.tool_calls import ToolCall, ToolCallParser

FORMATS: tuple[ToolFormat, ...] = get_args(ToolFormat)
ARGUMENTS: dict[ToolFormat, str] = {"hermes": "arguments", "llama3": "parameters", "mistral": "arguments"}
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "twin": {"$ref": "#/$defs/City"}},
    "required": ["name"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}, "days": {"$ref": "#/definitions/Days"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": CITY},
    "definitions": {"Days": {"type": "integer", "maximum": 7}},
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.org/weather",
}
TREE = {"type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#"}}}}


def tool(name: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if parameters is None else {"parameters": parameters}
    return {"type": "function", "function": {"name": name, **given, **more}}


TOOLS = [tool("weather", WEATHER), tool("time"), tool("tree", {**TREE, "additionalProperties": False})]
GOOD = [
    ("weather", {"city": {"name": "Rome"}}),
    ("weather", {"city": {"name": "Rome", "twin": {"name": "Paris"}}, "days": 7}),
    ("time", {}),
    ("tree", {"below": [{}, {"below": []}]}),
]
BAD = [
    ("weather", {"city": {"name": "Rome", "twin": {"name": 1}}}),
    ("weather", {"city": {"name": "Rome"}, "days": 8}),
    ("weather", {}),
    ("time", {"now": True}),
    ("tree", {"below": [{"above": 1}]}),
    ("other", {}),
]


@pytest.fixture(params=FORMATS)
def tool_format(request: pytest.FixtureRequest) -> ToolFormat:
    chosen: ToolFormat = request.param
    return chosen


def accepts(grammar_value: str, value: object) -> bool:
    schema = json.loads(grammar_value)
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(value))


def written(name: str, arguments: dict[str, Any], tool_format: ToolFormat) -> object:
    call = {"name": name, ARGUMENTS[tool_format]: arguments}
    return [call] if tool_format == "mistral" else call


@pytest.mark.parametrize(("name", "arguments"), GOOD)
def test_a_call_with_right_arguments_is_accepted(
    name: str, arguments: dict[str, Any], tool_format: ToolFormat
) -> None:
    value = written(name, arguments, tool_format)
    assert accepts(forced_call(TOOLS, tool_format).grammar.value, value)
    assert accepts(forced_call(TOOLS, tool_format, name).grammar.value, value)


@pytest.mark.parametrize(("name", "arguments"), BAD)
def test_a_call_with_wrong_arguments_is_refused(
    name: str, arguments: dict[str, Any], tool_format: ToolFormat
) -> None:
    value = written(name, arguments, tool_format)
    assert not accepts(forced_call(TOOLS, tool_format).grammar.value, value)


def test_a_named_function_allows_no_other(tool_format: ToolFormat) -> None:
    grammar = forced_call(TOOLS, tool_format, "time").grammar
    assert accepts(grammar.value, written("time", {}, tool_format))
    assert not accepts(grammar.value, written("weather", {"city": {"name": "Rome"}}, tool_format))


def test_a_forced_answer_behind_its_opening_is_one_call_for_the_parser(tool_format: ToolFormat) -> None:
    forced = forced_call(TOOLS, tool_format)
    assert forced.grammar.kind == "json_schema"
    parser = ToolCallParser(tool_format)
    answer = json.dumps(written("weather", {"city": {"name": "Rome"}}, tool_format), indent=2)
    events = [*parser.add(forced.opening), *parser.add(answer), *parser.finish()]
    assert events == [ToolCall(name="weather", arguments_json='{"city": {"name": "Rome"}}')]


@pytest.mark.parametrize(("tools", "name"), [([], None), (TOOLS, "nothing")])
def test_a_function_that_is_not_there_is_refused(tools: list[dict[str, Any]], name: str | None) -> None:
    with pytest.raises(ValidationError, match="`tools` has none") as refusal:
        forced_call(tools, "hermes", name)
    assert refusal.value.param == "tool_choice"


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(ValidationError, match="64 levels"):
        forced_call([tool("f", schema)], "hermes")
    with pytest.raises(ValidationError, match="64 levels"):
        strict_tags([tool("f", schema, strict=True)], "hermes")


def test_names_and_values_that_look_like_references_are_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {
            "$ref": {"type": "string"},
            "default": {"$ref": "#/properties/const"},
            "const": {"enum": ["a"]},
            "data": {"const": {"$ref": "#/$defs/City"}},
        },
        "additionalProperties": False,
    }
    grammar = forced_call([tool("f", schema)], "hermes").grammar
    for arguments, accepted in [
        ({"$ref": "x", "default": "a", "data": {"$ref": "#/$defs/City"}}, True),
        ({"default": "b"}, False),
        ({"data": {"$ref": "#/$defs/0/$defs/City"}}, False),
    ]:
        assert accepts(grammar.value, {"name": "f", "arguments": arguments}) is accepted


@pytest.mark.parametrize("parameters", [{}, {"type": "object", "additionalProperties": True}])
def test_an_empty_schema_takes_any_object_and_says_so_to_the_engine(parameters: dict[str, Any]) -> None:
    grammar = forced_call([tool("f", parameters)], "hermes").grammar
    assert json.loads(grammar.value)["$defs"]["0"]["additionalProperties"] is True
    assert accepts(grammar.value, {"name": "f", "arguments": {"a": [1]}})
    assert not accepts(grammar.value, {"name": "f", "arguments": []})


def test_without_a_strict_function_there_are_no_tags(tool_format: ToolFormat) -> None:
    assert strict_tags([tool("f"), tool("g", strict=False)], tool_format) is None
    assert strict_tags([], tool_format) is None


def test_strict_functions_are_held_to_their_schema_and_others_to_any_object(tool_format: ToolFormat) -> None:
    grammar = strict_tags([tool("weather", WEATHER, strict=True), tool("free", TREE)], tool_format)
    assert grammar is not None
    assert grammar.kind == "structural_tags"
    weather, free = json.loads(grammar.value)["tags"]
    assert accepts(json.dumps(weather["schema"]), {"city": {"name": "Rome"}})
    assert not accepts(json.dumps(weather["schema"]), {"city": 1})
    assert free["schema"] == {"type": "object", "additionalProperties": True}


def test_what_the_tags_write_begins_with_the_trigger_and_is_a_call(tool_format: ToolFormat) -> None:
    grammar = strict_tags([tool("weather", WEATHER, strict=True)], tool_format)
    assert grammar is not None
    value = json.loads(grammar.value)
    (tag,) = value["tags"]
    assert any(tag["begin"].startswith(trigger) for trigger in value["triggers"])
    parser = ToolCallParser(tool_format)
    answer = f'{tag["begin"]}{{"city": {{"name": "Rome"}}}}{tag["end"]}'
    assert [*parser.add(answer), *parser.finish()] == [
        ToolCall(name="weather", arguments_json='{"city": {"name": "Rome"}}')
    ]

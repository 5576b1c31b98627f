"""Calls are found wherever the answer was cut into pieces, and no text is lost."""

import json
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.manifest import ToolFormat
from service.text.tool_calls import ContentPiece, ToolCall, ToolCallParser, markers

FORMATS: tuple[ToolFormat, ...] = get_args(ToolFormat)
Event = str | tuple[str, Any]

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
STRINGS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["</tool_call>", "<tool_call>", "[TOOL_CALLS]", '"}]', "\\", "{", "<|python_tag|>"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(STRINGS, below, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(st.tuples(NAMES, st.dictionaries(STRINGS, VALUES, max_size=3)), min_size=1, max_size=3)
# Made of what calls are made of, so that nearly every text is nearly a call.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *sorted(markers("hermes") | markers("llama3") | markers("mistral")),
            *("<tool", "[TOOL", "_call>", "[", "]", "{", "}", '"', "\\", ",", ";", ":", " ", "\n", "f", "1"),
            *('{"name": "f", "arguments": {}}', '{"name": "g", "parameters": {"a": [1]}}', '{"a": 1}', "<"),
        ]
    ),
    max_size=25,
).map("".join)
PLACES = st.lists(st.integers(0, 600), max_size=30)


def cut(text: str, places: list[int]) -> list[str]:
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


def parse(tool_format: ToolFormat, pieces: list[str]) -> list[Event]:
    """The calls with their arguments, and the text between them, joined."""
    parser = ToolCallParser(tool_format)
    found: list[Event] = []
    for event in [*(event for piece in pieces for event in parser.add(piece)), *parser.finish()]:
        if isinstance(event, ToolCall):
            found.append((event.name, json.loads(event.arguments_json)))
            continue
        assert event.text
        if found and isinstance(found[-1], str):
            found[-1] += event.text
        else:
            found.append(event.text)
    return found


def hermes(calls: list[tuple[str, Any]], dump: Callable[[Any], str]) -> str:
    return "\n".join(
        f"<tool_call>\n{dump({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in calls
    )


def llama3(calls: list[tuple[str, Any]], dump: Callable[[Any], str]) -> str:
    return "; ".join(dump({"name": name, "parameters": arguments}) for name, arguments in calls)


def mistral(calls: list[tuple[str, Any]], dump: Callable[[Any], str]) -> str:
    return "[TOOL_CALLS] " + dump([{"name": name, "arguments": arguments} for name, arguments in calls])


def mistral_named(calls: list[tuple[str, Any]], dump: Callable[[Any], str]) -> str:
    return "".join(f"[TOOL_CALLS]{name}[ARGS]{dump(arguments)}" for name, arguments in calls)


WRITERS: list[tuple[ToolFormat, Callable[[list[tuple[str, Any]], Callable[[Any], str]], str]]] = [
    ("hermes", hermes),
    ("llama3", llama3),
    ("mistral", mistral),
    ("mistral", mistral_named),
]


@pytest.mark.parametrize(("tool_format", "write"), WRITERS)
@given(calls=CALLS, places=PLACES, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_every_split_of_written_calls_gives_those_calls(
    tool_format: ToolFormat,
    write: Callable[[list[tuple[str, Any]], Callable[[Any], str]], str],
    calls: list[tuple[str, Any]],
    places: list[int],
    ascii_only: bool,
    indent: int | None,
) -> None:
    text = write(calls, lambda value: json.dumps(value, ensure_ascii=ascii_only, indent=indent))
    assert parse(tool_format, cut(text, places)) == calls


@pytest.mark.parametrize("tool_format", FORMATS)
@given(text=FRAGMENTS, places=PLACES)
def test_every_split_of_any_text_gives_the_same(
    tool_format: ToolFormat, text: str, places: list[int]
) -> None:
    whole = parse(tool_format, [text])
    assert parse(tool_format, cut(text, places)) == whole
    assert parse(tool_format, list(text)) == whole
    if not any(isinstance(event, tuple) for event in whole):
        assert "".join(map(str, whole)) == text


@pytest.mark.parametrize("tool_format", FORMATS)
@given(text=st.text())
def test_text_without_calls_passes_as_it_is(tool_format: ToolFormat, text: str) -> None:
    assert "".join(map(str, parse(tool_format, [text]))) == text


F = ("f", {"a": 1})
G = ("g", {})


@pytest.mark.parametrize(
    ("tool_format", "text", "expected"),
    [
        ("hermes", 'Let me see.\n<tool_call>{"name": "f", "arguments": {"a": 1}}', ["Let me see.\n", F]),
        ("hermes", ' <tool_call>{"name": "g"}</tool_call> \n', [G]),
        ("hermes", '<tool_call>{"name": "g", "parameters": null}</tool_call> Done. ', [G, " Done. "]),
        ("hermes", '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', [F]),
        ("hermes", '<tool_call>{"name": "f", "arguments": {"a": "x\ny"}}', [("f", {"a": "x\ny"})]),
        (  # the brace that is missing does not take the next call along
            "hermes",
            '<tool_call>{"name": "f", "arguments": {"a": 1}</tool_call><tool_call>{"name": "g"}</tool_call>',
            ['<tool_call>{"name": "f", "arguments": {"a": 1}</tool_call>', G],
        ),
        ("hermes", "Write <tool_call> first.", ["Write <tool_call> first."]),
        ("hermes", "<tool_call>{'name': 'f'}</tool_call>", ["<tool_call>{'name': 'f'}</tool_call>"]),
        ("llama3", '<|python_tag|>{"name": "f", "parameters": {"a": 1}}', [F]),
        ("llama3", '\n{"type": "function", "name": "f", "parameters": {"a": 1}}; \n', [F]),
        ("llama3", 'See: {"name": "f", "parameters": {}}', ['See: {"name": "f", "parameters": {}}']),
        ("llama3", '{"name": "Bob"}', ['{"name": "Bob"}']),
        ("llama3", '<|python_tag|>search.call(query="x")', ['<|python_tag|>search.call(query="x")']),
        ("llama3", 'Hm. <|python_tag|>{"name": "g", "parameters": {}}; ok', ["Hm. ", G, "; ok"]),
        ("mistral", 'Hm. [TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}, {"name": "g"}]', ["Hm. ", F, G]),
        ("mistral", '[TOOL_CALLS]{"name": "f", "arguments": {"a": 1}}', [F]),
        ("mistral", '[TOOL_CALLS]f{"a": 1}[TOOL_CALLS]g[CALL_ID]abcdefgh1[ARGS]{}', [F, G]),
        ("mistral", '[TOOL_CALLS] [{"name": "g"}, what]', [G, ", what]"]),
        ("mistral", "[TOOL_CALLS] []", ["[TOOL_CALLS] []"]),
    ],
)
def test_what_models_write(tool_format: ToolFormat, text: str, expected: list[Event]) -> None:
    assert parse(tool_format, [text]) == expected


@pytest.mark.parametrize(
    "call",
    [
        '{"name": "f", "arguments": {"a": NaN}}',
        '{"name": "f", "arguments": {"a": 1e999}}',
        '{"name": "f", "arguments": {"a": "\\ud800"}}',
        '{"name": "\\ud800", "arguments": {}}',
        '{"name": "", "arguments": {}}',
        '{"name": 1, "arguments": {}}',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": "[1]"}',
        '{"name": "f", "arguments": "' + "[" * 5_000 + '"}',
        '{"name": "f", "arguments": {"a": ' + "9" * 5_000 + "}}",
        '{"name": "f", "arguments": {"a": ' + "[" * 100 + "]" * 100 + "}}",
    ],
)
def test_what_json_or_utf_8_can_not_carry_is_text(call: str) -> None:
    text = f"<tool_call>{call}</tool_call>"
    assert parse("hermes", [text]) == [text]


def test_text_is_held_back_only_while_it_may_be_a_marker() -> None:
    parser = ToolCallParser("hermes")
    assert parser.add("Hi ") == [ContentPiece(text="Hi ")]
    assert parser.add("a <tool") == [ContentPiece(text="a ")]
    assert parser.add("box>") == [ContentPiece(text="<toolbox>")]


def test_a_call_is_told_as_soon_as_its_object_ends() -> None:
    parser = ToolCallParser("mistral")
    assert parser.add('[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}') == []
    assert parser.add("}") == [ToolCall(name="f", arguments_json='{"a": 1}')]
    assert parser.add(', {"name": "g"}') == [ToolCall(name="g", arguments_json="{}")]
    assert parser.add("]") == []
    assert parser.finish() == []


@pytest.mark.parametrize("tool_format", FORMATS)
@pytest.mark.parametrize(
    "hostile",
    [
        "<tool_call>",
        "[TOOL_CALLS]",
        "<|python_tag|>",
        "<tool_cal",
        '{"a": "',
        "{",
        '\\"',
        " ",
        "[TOOL_CALLS] [",
    ],
)
def test_the_time_is_linear_in_the_text(tool_format: ToolFormat, hostile: str) -> None:
    def seconds(characters: int) -> float:
        parser = ToolCallParser(tool_format)
        text = (hostile * (characters // len(hostile)))[:characters]
        began_s = time.process_time()
        for start in range(0, len(text), 4):
            parser.add(text[start : start + 4])
        parser.finish()
        return time.process_time() - began_s

    short_s = min(seconds(10_000) for _ in range(3))
    # Ten times the text: quadratic time would be a hundred times as long.
    assert min(seconds(100_000) for _ in range(3)) < 40 * short_s + 0.1

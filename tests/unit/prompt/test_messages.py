"""Every client's way to write a message becomes the one that templates take."""

from typing import Any

import pytest
from jinja2 import Environment

from service.errors import ValidationError
from service.manifest import ToolFormat
from service.prompt.messages import normalised, wrapped
from service.prompt.template_abilities import Abilities, probe

PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
IMAGE = [{"type": "image"}, {"type": "text", "text": "b"}]


def abilities(**changes: bool) -> Abilities:
    known = {"takes_system": True, "takes_developer": False, "takes_strings": True, "takes_lists": False}
    return Abilities(**known | changes)


def one(message: dict[str, Any], tool_format: ToolFormat = "hermes", **changes: bool) -> dict[str, Any]:
    (result,) = normalised([message], abilities(**changes), tool_format)
    return result


def test_nulls_and_empty_calls_are_left_out_and_a_content_is_always_there() -> None:
    given = {"role": "assistant", "content": None, "name": None, "tool_calls": []}
    assert one(given) == {"role": "assistant", "content": ""}
    assert one({"role": "assistant"}) == {"role": "assistant", "content": ""}


def test_a_developer_is_a_system_unless_the_template_knows_it() -> None:
    given = {"role": "developer", "content": "x"}
    assert one(given)["role"] == "system"
    assert one(given, takes_developer=True)["role"] == "developer"


def test_text_parts_are_joined_unless_the_template_takes_lists() -> None:
    given = {"role": "user", "content": PARTS}
    assert one(given)["content"] == "ab"
    assert one(given, takes_lists=True)["content"] == PARTS


def test_a_part_that_is_no_text_is_refused_where_only_text_is_taken() -> None:
    given = {"role": "user", "content": IMAGE}
    with pytest.raises(ValidationError, match="text only") as refusal:
        one(given)
    assert refusal.value.param == "messages"
    assert one(given, takes_lists=True)["content"] == IMAGE


def test_strings_are_wrapped_for_a_template_that_takes_only_lists() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": PARTS}]
    lists_only = abilities(takes_strings=False, takes_lists=True)
    assert [message["content"] for message in wrapped(messages, lists_only)] == [
        [{"type": "text", "text": "a"}],
        PARTS,
    ]
    assert wrapped(messages, abilities()) == messages


@pytest.mark.parametrize(
    ("given", "expected"),
    [('{"a": [1, "é"]}', {"a": [1, "é"]}), ("", {}), (None, {}), ({"a": 1}, {"a": 1})],
)
def test_arguments_become_objects(given: object, expected: dict[str, Any]) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": given}}
    message = one({"role": "assistant", "tool_calls": [call]})
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": expected}
    assert call["function"] == {"name": "f", "arguments": given}  # the client's own is left alone


@pytest.mark.parametrize("given", ["{", "[1]", "1", "[" * 100_000, ["a"]])
def test_arguments_that_are_no_object_are_refused(given: object) -> None:
    with pytest.raises(ValidationError, match="must be a JSON object"):
        one({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": given}}]})


def test_a_result_is_named_after_the_call_it_answers() -> None:
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "tool", "tool_call_id": "1", "name": "mine", "content": "x"},
        {"role": "tool", "tool_call_id": "2", "content": "x"},
    ]
    results = normalised(messages, abilities(), "hermes")[1:]
    assert [result.get("name") for result in results] == ["f", "mine", None]


def test_mistral_takes_any_call_id_and_it_stays_the_same_in_its_result() -> None:
    call_ids = ["call_0123456789abcdef", "abcdefgh1"]
    calls = [{"id": call_id, "function": {"name": "f", "arguments": "{}"}} for call_id in call_ids]
    results = [{"role": "tool", "tool_call_id": call_id, "content": "x"} for call_id in call_ids]
    assistant, *answers = normalised(
        [{"role": "assistant", "tool_calls": calls}, *results], abilities(), "mistral"
    )
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert ids == [answer["tool_call_id"] for answer in answers]
    assert ids[1] == "abcdefgh1"
    assert len(ids[0]) == 9
    assert ids[0].isalnum()


def test_other_formats_keep_their_call_ids() -> None:
    assert one({"role": "tool", "tool_call_id": "call_1", "content": "x"})["tool_call_id"] == "call_1"


LOOP = "{% for message in messages %}%s{% endfor %}"


@pytest.mark.parametrize(
    ("body", "strings", "lists"),
    [
        ("{{ message.content }}", True, False),
        ("{{ message.content | tojson }}", True, False),
        ("{{ message.content + '' }}", True, False),
        ("{% for part in message.content %}{{ part.text }}{% endfor %}", False, True),
        (
            "{% if message.content is string %}{{ message.content }}"
            "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}",
            True,
            True,
        ),
        ("{{ raise_exception('no') }}", True, False),
    ],
)
def test_trying_a_template_tells_which_contents_it_takes(body: str, strings: bool, lists: bool) -> None:
    text = LOOP.replace("%s", body, 1)
    compiled = Environment(autoescape=False).from_string(text)
    found = probe(text, lambda messages: compiled.render(messages=messages))
    assert (found.takes_strings, found.takes_lists) == (strings, lists)


def test_a_template_that_refuses_or_drops_system_messages_is_found_out() -> None:
    for body, takes in (
        ("{{ message.content }}", True),
        ("{{ message.content if message.role == 'user' }}", False),
    ):
        text = LOOP.replace("%s", body, 1)
        compiled = Environment(autoescape=False).from_string(text)
        found = probe(text, lambda messages, compiled=compiled: compiled.render(messages=messages))  # type: ignore[misc]
        assert found.takes_system is takes

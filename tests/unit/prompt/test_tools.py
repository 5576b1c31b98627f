"""Models whose template knows no tools are told of them in words."""

import json
from typing import Any

import pytest

from service.errors import ValidationError
from service.prompt.chat import ChatTemplate
from service.prompt.tools import as_text, instructed

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "description": "Ünï", "strict": True}}
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": name, "arguments": arguments}}


def shown_tools(text: str) -> list[Any]:
    listed = text.split("<tools>\n")[1].split("\n</tools>")[0]
    return [json.loads(line) for line in listed.splitlines()]


def test_the_instruction_lists_the_tools_as_json_and_shows_how_to_call() -> None:
    (system, user) = instructed([{"role": "user", "content": "Hi"}], [TOOL, TOOL], takes_system=True)
    assert user == {"role": "user", "content": "Hi"}
    assert system["role"] == "system"
    assert (
        shown_tools(system["content"])
        == [{"type": "function", "function": {"name": "f", "description": "Ünï"}}] * 2
    )
    assert '<tool_call>\n{"name": ' in system["content"]


def test_the_instruction_follows_the_clients_own_system_message() -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    system, user = instructed(messages, [TOOL], takes_system=True)
    assert system["content"].startswith("Be kind.\n\n# Tools")
    assert user["content"] == "Hi"


@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "Hi"}]])
def test_without_system_messages_the_instruction_begins_the_first_turn(content: Any) -> None:
    (user,) = instructed([{"role": "user", "content": content}], [TOOL], takes_system=False)
    text = user["content"] if isinstance(content, str) else "".join(part["text"] for part in user["content"])
    assert text.startswith("# Tools")
    assert text.endswith("</tool_call>\n\nHi")


def test_calls_and_results_are_written_out() -> None:
    messages = [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call("f", {"a": "é"}), call("g", {})]},
        {"role": "tool", "tool_call_id": "f", "content": "1"},
        {"role": "tool", "tool_call_id": "g", "content": [{"type": "text", "text": "2"}]},
        {"role": "assistant", "content": "", "tool_calls": [call("f", {})]},
        {"role": "tool", "tool_call_id": "f", "content": "3"},
        {"role": "user", "content": "Thanks"},
    ]
    assert as_text(messages) == [
        {
            "role": "assistant",
            "content": 'Let me see.\n<tool_call>\n{"name": "f", "arguments": {"a": "é"}}\n</tool_call>\n'
            '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>',
        },
        {
            "role": "user",
            "content": "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>",
        },
        {"role": "assistant", "content": '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'},
        {"role": "user", "content": "<tool_response>\n3\n</tool_response>"},
        {"role": "user", "content": "Thanks"},
    ]


def test_a_result_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValidationError, match="text only"):
        as_text([{"role": "tool", "content": [{"type": "image"}]}])


def test_a_template_without_tools_gets_the_instruction() -> None:
    chat = ChatTemplate({"default": PLAIN}, tool_format=None)
    assert "<system># Tools" in chat.render([{"role": "user", "content": "Hi"}], tools=[TOOL])
    assert chat.render([{"role": "user", "content": "Hi"}]) == "<user>Hi\n"
    assert chat.render([{"role": "user", "content": "Hi"}], tools=[]) == "<user>Hi\n"


def test_a_template_that_refuses_system_messages_gets_it_in_the_first_turn() -> None:
    chat = ChatTemplate({"default": NO_SYSTEM}, tool_format=None)
    assert chat.render([{"role": "user", "content": "Hi"}], tools=[TOOL]).startswith("<user># Tools")


def test_old_calls_are_written_out_even_when_no_tools_are_given() -> None:
    chat = ChatTemplate({"default": PLAIN}, tool_format=None)
    history = [
        {"role": "assistant", "content": None, "tool_calls": [call("f", {})]},
        {"role": "tool", "tool_call_id": "f", "content": "1"},
    ]
    rendered = chat.render(history)
    assert '<assistant><tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>' in rendered
    assert "<user><tool_response>\n1\n</tool_response>" in rendered

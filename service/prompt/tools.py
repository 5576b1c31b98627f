"""Puts tools into words for models whose chat template knows none, in the way of Nous Hermes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.prompt.messages import text_of

_INSTRUCTION = """\
# Tools

You may call one or more functions to answer the user. These are the functions, within <tools></tools>:
<tools>
{tools}
</tools>

To call a function, answer with its name and its arguments as a JSON object within <tool_call></tool_call>:
<tool_call>
{{"name": <function name>, "arguments": <arguments as a JSON object>}}
</tool_call>"""


def shown(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tools as models were trained to read them: no `strict`, which speaks to the server, no nulls."""
    return [{**tool, "function": _function(tool["function"])} for tool in tools]


def instructed(
    messages: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]], *, takes_system: bool
) -> list[dict[str, Any]]:
    """The messages with the tools and how to call them in front.

    That is the end of the system message, and a new one where there is none; for a template that
    takes no system message it is the start of the first message.
    """
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in shown(tools))
    instruction = _INSTRUCTION.format(tools=listed)
    if messages and messages[0]["role"] == "system":
        system = f"{text_of(messages[0]['content'])}\n\n{instruction}"
        return [{**messages[0], "content": system}, *messages[1:]]
    if takes_system or not messages:
        return [{"role": "system", "content": instruction}, *messages]
    return [{**messages[0], "content": _after(f"{instruction}\n\n", messages[0]["content"])}, *messages[1:]]


def as_text(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with calls written out in their turn, and each run of tools' results as one user turn."""
    written: list[dict[str, Any]] = []
    follows_result = False
    for message in messages:
        is_result = message["role"] == "tool"
        if is_result and follows_result:
            written[-1]["content"] += f"\n{_result(message)}"
        elif is_result:
            written.append({"role": "user", "content": _result(message)})
        else:
            written.append(_with_calls(message))
        follows_result = is_result
    return written


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in function.items() if value is not None and key != "strict"}


def _after(text: str, content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    return text + content if isinstance(content, str) else [{"type": "text", "text": text}, *content]


def _result(message: Mapping[str, Any]) -> str:
    return f"<tool_response>\n{text_of(message['content'])}\n</tool_response>"


def _with_calls(message: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in message.items() if key != "tool_calls"}
    lines = [_call(call["function"]) for call in message.get("tool_calls", [])]
    if lines:
        content = text_of(message["content"])
        plain["content"] = "\n".join([content, *lines] if content else lines)
    return plain


def _call(function: Mapping[str, Any]) -> str:
    call = json.dumps({"name": function["name"], "arguments": function["arguments"]}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"

"""Brings clients' chat messages into the one form that chat templates take."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.errors import ValidationError
from service.manifest import ToolFormat
from service.prompt.template_abilities import Abilities

_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")


def normalised(
    messages: Sequence[Mapping[str, Any]], abilities: Abilities, tool_format: ToolFormat
) -> list[dict[str, Any]]:
    """Copies of `messages` with every null left out, a content in each, and calls' arguments as objects.

    A `developer` becomes a `system` where the template does not know it; text parts are joined where
    it takes no lists; a tool's result gets its function's `name`, which some templates want and OpenAI's
    clients leave out; Mistral's templates take no call ids but those of nine letters and digits.

    Raises:
        ValidationError: a content has more than text for a template that takes text, or a call's
            arguments are no JSON object.
    """
    names = {
        call.get("id"): call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }
    return [_normalised(message, abilities, tool_format, names) for message in messages]


def wrapped(messages: list[dict[str, Any]], abilities: Abilities) -> list[dict[str, Any]]:
    """The messages with string contents as lists of one part, where the template takes no strings."""
    if abilities.takes_strings:
        return messages
    return [
        {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message
        for message in messages
        for content in (message["content"],)
    ]


def text_of(content: str | list[dict[str, Any]]) -> str:
    """A content's text: the parts as they follow one another, as TGI joins them.

    Raises:
        ValidationError: a part is not text.
    """
    if isinstance(content, str):
        return content
    if any(not isinstance(part.get("text"), str) for part in content):
        raise ValidationError("this model takes text only in such a message's `content`", param="messages")
    return "".join(part["text"] for part in content)


def _normalised(
    message: Mapping[str, Any],
    abilities: Abilities,
    tool_format: ToolFormat,
    names: Mapping[str | None, str],
) -> dict[str, Any]:
    given = {key: value for key, value in message.items() if value is not None}
    content = given.get("content", "")
    given["content"] = content if abilities.takes_lists else text_of(content)
    if given["role"] == "developer" and not abilities.takes_developer:
        given["role"] = "system"
    calls = given.pop("tool_calls", [])
    if calls:  # templates ask whether the key is there
        given["tool_calls"] = [_call(call, tool_format) for call in calls]
    if "tool_call_id" in given:
        called = given["tool_call_id"]
        if called in names:
            given.setdefault("name", names[called])
        given["tool_call_id"] = _mistral_id(called) if tool_format == "mistral" else called
    return given


def _call(call: Mapping[str, Any], tool_format: ToolFormat) -> dict[str, Any]:
    given = {key: value for key, value in call.items() if value is not None}
    function = given["function"]
    given["function"] = {**function, "arguments": _arguments(function.get("arguments"))}
    if tool_format == "mistral" and "id" in given:
        given["id"] = _mistral_id(given["id"])
    return given


def _arguments(value: object) -> dict[str, Any]:
    """Clients send JSON text; templates print an object as JSON, and a text as a JSON string."""
    try:
        parsed = json.loads(value or "{}") if isinstance(value, str) else value or {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ValidationError("a tool call's `arguments` must be a JSON object", param="messages")
    return parsed


def _mistral_id(call_id: str) -> str:
    """The id itself when it fits, else one that is always the same for it."""
    if _MISTRAL_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode(errors="replace")).hexdigest()[:9]

"""Reads a tool call out of the JSON that a model wrote."""

import json
from typing import Any, NoReturn


def read_call(text: str, *, needs_arguments: bool) -> tuple[str, str] | None:
    """The call's name and its arguments as JSON text; None when `text` is no call.

    The arguments are an object under `arguments` or `parameters`, or a text that holds one.
    """
    call = _load_object(text)
    if call is None:
        return None
    name = call.get("name")
    arguments = call.get("arguments", call.get("parameters"))
    if arguments is None and not needs_arguments:
        arguments = {}
    if isinstance(arguments, str):
        arguments = _load_object(arguments)
    if not name or not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    written = _dump(arguments)
    return (name, written) if written and _dump(name) else None


def read_arguments(text: str) -> str | None:
    """Arguments that stand alone, as JSON text; None when they are no object."""
    arguments = _load_object(text)
    return None if arguments is None else _dump(arguments)


def _load_object(text: str) -> dict[str, Any] | None:
    try:
        # Not strict: models write line breaks into strings as they are.
        value = json.loads(text, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _dump(value: object) -> str | None:
    """None for what JSON or UTF-8 can't say: numbers too big for a float, lone surrogates."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        return None
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")

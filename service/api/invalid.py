"""Says what is wrong with a body, without echoing it: texts and images stay out of answers."""

from collections.abc import Sequence
from typing import Any

_MOST_NAMED = 5


def describe_invalid(errors: Sequence[dict[str, Any]]) -> str:
    """One sentence for each of the first errors that pydantic found."""
    return "; ".join(_describe_one(error) for error in errors[:_MOST_NAMED])


def param_of(errors: Sequence[dict[str, Any]]) -> str | None:
    """The field that the first error is about."""
    return None if errors[0]["type"] == "json_invalid" else _field(errors[0]) or None


def _field(error: dict[str, Any]) -> str:
    # A part that begins with / names one of the bodies that an endpoint takes.
    parts = [str(part) for part in error["loc"] if part != "body"]
    return ".".join(part for part in parts if not part.startswith("/"))


def _describe_one(error: dict[str, Any]) -> str:
    field = _field(error)
    if error["type"] == "json_invalid":
        return "the body is not valid JSON"
    if error["type"] == "extra_forbidden":
        return f"`{field}` is not a known parameter"
    if not field:
        return "the body must be a JSON object sent with `Content-Type: application/json`"
    value = error.get("input")
    got = f", got {value}" if isinstance(value, int | float) else ""
    return f"`{field}`: {error['msg']}{got}"

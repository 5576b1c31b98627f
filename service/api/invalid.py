"""Says what is wrong with a body, without echoing it: texts and images stay out of answers."""

from collections.abc import Sequence
from typing import Any

_MOST_NAMED = 5


def describe_invalid(errors: Sequence[dict[str, Any]], body: object) -> str:
    """One sentence for each of the first errors that pydantic found in `body`."""
    sentences = dict.fromkeys(_describe_one(error, body) for error in errors[:_MOST_NAMED])
    return "; ".join(sentences)


def param_of(errors: Sequence[dict[str, Any]], body: object) -> str | None:
    """The field that the first error is about."""
    return _field(errors[0], body) or None


def _describe_one(error: dict[str, Any], body: object) -> str:
    field = _field(error, body)
    if error["type"] == "json_invalid":
        return "the body is not valid JSON"
    if error["type"] == "string_unicode":
        return f"`{field}` holds half a surrogate pair, which is no character"
    if error["type"] == "union_tag_invalid":
        return f"`{field}`: its `type` must be one of {error['ctx']['expected_tags']}"
    if error["type"] == "extra_forbidden":
        return f"`{field}` is not a known parameter"
    if not field and error["type"] == "value_error":
        return f"the body {error['ctx']['error']}"
    if not field:
        return "the body must be a JSON object sent with `Content-Type: application/json`"
    value = error.get("input")
    got = f", got {value}" if isinstance(value, int | float) else ""
    return f"`{field}`: {error['msg']}{got}"


def _field(error: dict[str, Any], body: object) -> str:
    """Where the error is, as the client would say it.

    Pydantic's places also name the members of unions; those lead nowhere in the body.
    """
    parts: list[str] = []
    value = body
    places = error["loc"][1:]
    for index, place in enumerate(places, start=1):
        if _leads_somewhere(place, value):
            parts.append(str(place))
            value = value[place]  # type: ignore[index]
        elif error["type"] == "missing" and index == len(places):
            parts.append(str(place))
    return ".".join(parts)


def _leads_somewhere(place: int | str, value: object) -> bool:
    if isinstance(value, dict):
        return place in value
    return isinstance(value, list) and isinstance(place, int) and place < len(value)

"""Bounds of a grammar, and what may be asked for beside one."""

import msgspec

from service.domain import Grammar, RawRequest
from service.errors import ValidationError

MAX_CHARACTERS = 65_536
_MAX_DEPTH = 100
_MAX_VALUES = 10_000


def check_grammar(raw: RawRequest) -> None:
    """Check all of a grammar that needs no compiler; without a grammar there is nothing to check.

    Raises:
        ValidationError: naming the parameter, with the limit and the value.
    """
    if raw.grammar is None:
        return
    name = raw.names.grammar
    _check_use(raw, raw.grammar)
    if len(raw.grammar.value) > MAX_CHARACTERS:
        raise ValidationError(
            f"`{name}` may have at most {MAX_CHARACTERS} characters; it has {len(raw.grammar.value)}",
            param=name,
        )
    if raw.grammar.kind != "regex":
        _check_json(raw.grammar.value, name)


def _check_use(raw: RawRequest, grammar: Grammar) -> None:
    """Refuse what would make the answer break its grammar."""
    name = raw.names.grammar
    if raw.ignore_eos:
        raise ValidationError(
            f"`ignore_eos` can't be used with `{name}`: nothing could follow the end of the answer",
            param="ignore_eos",
        )
    if raw.min_new_tokens:
        minimum = raw.names.min_new_tokens
        raise ValidationError(
            f"`{minimum}` can't be used with `{name}`: that decides where the answer may end", param=minimum
        )
    if raw.stop and grammar.kind == "json_schema":
        raise ValidationError(
            f"`stop` can't be used with `{name}`: it would cut the answer within the JSON", param="stop"
        )


def _check_json(text: str, name: str) -> None:
    try:
        level = [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValidationError(f"`{name}` must be valid JSON: {error}", param=name) from error
    values = depth = 0
    while level:
        values += len(level)
        depth += 1
        if values > _MAX_VALUES:
            raise ValidationError(f"`{name}` may hold at most {_MAX_VALUES} values", param=name)
        if depth > _MAX_DEPTH:
            raise ValidationError(f"`{name}` may be at most {_MAX_DEPTH} levels deep", param=name)
        level = [child for value in level for child in _children(value)]


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

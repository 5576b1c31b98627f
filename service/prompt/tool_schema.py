"""Gives a function's parameters schema a place inside a bigger JSON schema."""

from collections.abc import Mapping
from typing import Any

from service.errors import ValidationError

# Under these stand names chosen by the client, each with a schema; under those, values that are no schema.
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_VALUES = frozenset({"const", "enum", "default", "examples"})
# They would give the schema an address of its own, from which references start anew.
_IDENTITIES = frozenset({"$schema", "$id", "id", "$anchor"})
_DEEPEST = 64

# The engine's grammars allow only the properties that a schema names, unless it says this.
ANY_OBJECT = {"type": "object", "additionalProperties": True}


def parameters_schema(function: Mapping[str, Any]) -> dict[str, Any]:
    """What a function takes; a function without `parameters` takes an empty object, as in OpenAI's API."""
    parameters = function.get("parameters")
    if parameters is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    return dict(parameters or ANY_OBJECT)


def rebased(schema: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    """`schema` with its references to places in itself (`#/$defs/City`, `#`) starting from `pointer`.

    `pointer` is where it will stand, such as `#/$defs/0`.

    Raises:
        ValidationError: it is nested too deeply.
    """
    top = {key: value for key, value in schema.items() if key not in _IDENTITIES}
    return _rebased(top, pointer, _DEEPEST)


def _rebased(schema: Mapping[str, Any], pointer: str, depth: int) -> dict[str, Any]:
    return {key: _value(key, value, pointer, depth) for key, value in schema.items()}


def _value(key: str, value: Any, pointer: str, depth: int) -> Any:  # noqa: ANN401 - any JSON
    if depth == 0:
        raise ValidationError(
            f"a function's `parameters` may be nested {_DEEPEST} levels deep at most", param="tools"
        )
    if key == "$ref" and isinstance(value, str):
        return pointer + value[1:] if value == "#" or value.startswith("#/") else value
    if key in _VALUES:
        return value
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: _schema(below, pointer, depth - 1) for name, below in value.items()}
    return _schema(value, pointer, depth - 1)


def _schema(value: Any, pointer: str, depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return _rebased(value, pointer, depth)
    if isinstance(value, list):
        return [_value("", below, pointer, depth) for below in value]
    return value

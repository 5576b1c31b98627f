"""Reads JSON schemas: which keywords they have, where references lead, which types they allow."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from service.errors import ValidationError

Schema = dict[str, Any]

_ANNOTATIONS = frozenset(
    [
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "default",
        "definitions",
        "deprecated",
        "description",
        "discriminator",
        "example",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    ]
)
_BY_TYPE = {
    "object": frozenset(["additionalProperties", "maxProperties", "minProperties", "properties", "required"]),
    "array": frozenset(["items", "maxItems", "minItems", "prefixItems", "uniqueItems"]),
    "string": frozenset(["format", "maxLength", "minLength", "pattern"]),
    "number": frozenset(["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"]),
    "integer": frozenset(["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"]),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
TYPES = tuple(_BY_TYPE)
_COMBINING = ("$ref", "allOf", "anyOf", "oneOf", "const", "enum")
_MOST_COUNT = 1_000
_KNOWN = _ANNOTATIONS.union({"type"}, _COMBINING, *_BY_TYPE.values())
_MOST_REFERENCES = 200
_SHOWN_CHARACTERS = 120


def refusal(place: str, reason: str) -> ValidationError:
    """The error for what stands at this place of the schema."""
    shown = place if len(place) <= _SHOWN_CHARACTERS else f"{place[:_SHOWN_CHARACTERS]}..."
    return ValidationError(f"at {shown}: {reason}", param="grammar")


class SchemaReader:
    """One schema document; what is broken in it is refused when it is read."""

    def __init__(self, text: str) -> None:
        """Parse. Raises: ValidationError when it is not JSON."""
        try:
            self.root: object = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValidationError(f"the schema must be valid JSON: {error}", param="grammar") from error
        self._ending = self._find_ending()

    def asserted(self, schema: object, place: str) -> Schema:
        """The keywords that say something of an answer; {} for the schema that allows everything."""
        if schema is True:
            return {}
        if schema is False:
            raise refusal(place, "false allows no answer")
        if not isinstance(schema, dict):
            raise refusal(place, "a schema must be an object, true or false")
        if "$id" in schema and place != "#":
            raise refusal(place, "`$id` is supported at the top alone")
        for keyword in schema:
            if keyword not in _KNOWN and not keyword.startswith("x-"):
                raise refusal(place, f"`{keyword}` is not supported")
        return {
            keyword: value
            for keyword, value in schema.items()
            if keyword not in _ANNOTATIONS and not keyword.startswith("x-")
        }

    def combining(self, asserted: Schema, place: str) -> str | None:
        """The one keyword that stands for the whole schema, if any; only `type` may stand beside it."""
        found = [keyword for keyword in _COMBINING if keyword in asserted]
        if not found:
            return None
        # Generators write both for a single value.
        beside = {"type", "enum"} if found[0] == "const" else {"type"}
        for other in asserted:
            if other != found[0] and other not in beside:
                raise refusal(place, f"`{other}` beside `{found[0]}` is not supported")
        return found[0]

    def types(self, asserted: Schema, place: str) -> tuple[str, ...]:
        """The types by name; without `type`, those that the keywords are about; without these, all."""
        given = asserted.get("type")
        if given is None:
            about = [name for name in TYPES if name != "integer" and _BY_TYPE[name] & asserted.keys()]
            return tuple(about) or tuple(name for name in TYPES if name != "integer")
        names = given if isinstance(given, list) else [given]
        for name in names:
            if not isinstance(name, str) or name not in _BY_TYPE:
                raise refusal(place, f"`type` must be one of {', '.join(TYPES)}, or a list of them")
        if not names:
            raise refusal(place, "`type` names no type")
        return tuple(dict.fromkeys(names))

    def target(self, asserted: Schema, place: str) -> tuple[str, object]:
        """Where `$ref` leads, and what is there."""
        reference = asserted["$ref"]
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise refusal(place, "`$ref` must point into the schema itself: # or #/...")
        found = self._look_up(reference)
        if found is None:
            raise refusal(place, f"`$ref` leads nowhere: {reference[:_SHOWN_CHARACTERS]}")
        if reference not in self._ending:
            raise refusal(place, "`$ref` makes a schema that every answer would follow without end")
        return reference, found

    def _look_up(self, reference: str) -> object | None:
        found = self.root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found

    def _find_ending(self) -> set[str]:
        """The references to schemas that an answer of finite length can follow."""
        references = list(dict.fromkeys(_references(self.root)))
        if len(references) > _MOST_REFERENCES:
            raise ValidationError(
                f"the schema may have at most {_MOST_REFERENCES} different `$ref`; it has {len(references)}",
                param="grammar",
            )
        ending: set[str] = set()
        while True:
            found = {
                reference
                for reference in references
                if reference not in ending and _ends(self._look_up(reference), ending)
            }
            if not found:
                return ending
            ending |= found


def count(asserted: Schema, keyword: str, place: str) -> int | None:
    """A keyword's value where it must be a whole number, not below 0; None when it isn't there."""
    value = number(asserted, keyword, place)
    if value is None:
        return None
    if value < 0 or value != int(value):
        raise refusal(place, f"`{keyword}` must be a whole number, 0 or more")
    if value > _MOST_COUNT:
        raise refusal(place, f"`{keyword}` may be at most {_MOST_COUNT}; it is {int(value)}")
    return int(value)


def number(asserted: Schema, keyword: str, place: str) -> Decimal | None:
    """A keyword's value where it must be a number; None when it isn't there."""
    value = asserted.get(keyword)
    if keyword not in asserted:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(place, f"`{keyword}` must be a number")
    return Decimal(str(value))


def items(asserted: Schema, keyword: str, place: str) -> list[object]:
    """A keyword's value where it must be a list; empty when it isn't there."""
    value = asserted.get(keyword, [])
    if not isinstance(value, list):
        raise refusal(place, f"`{keyword}` must be a list")
    return value


def mapping(asserted: Schema, keyword: str, place: str) -> dict[str, object]:
    """A keyword's value where it must be an object; empty when it isn't there."""
    value = asserted.get(keyword, {})
    if not isinstance(value, dict):
        raise refusal(place, f"`{keyword}` must be an object")
    return value


def text(asserted: Schema, keyword: str, place: str) -> str:
    """A keyword's value where it must be a string."""
    value = asserted[keyword]
    if not isinstance(value, str):
        raise refusal(place, f"`{keyword}` must be a string")
    return value


def json_type(value: object) -> str:
    """The narrowest type that a JSON value has."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names: dict[type, str] = {float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def spelled(value: object) -> str:
    """Alike for values that JSON schemas hold to be equal, such as 1 and 1.0."""
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))}]"
    if isinstance(value, dict):
        return repr(sorted((name, spelled(inner)) for name, inner in value.items()))
    return repr(value)


def _references(node: object) -> Iterator[str]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _ends(schema: object, ending: set[str]) -> bool:
    """Whether an answer can follow the schema and end; what is broken in it is not judged here."""
    if not isinstance(schema, dict):
        return True
    if "$ref" in schema:
        return schema["$ref"] in ending
    for keyword, judge in (("allOf", all), ("anyOf", any), ("oneOf", any)):
        if isinstance(schema.get(keyword), list):
            return judge(_ends(choice, ending) for choice in schema[keyword])
    if "const" in schema or "enum" in schema:
        return True
    if schema.get("type") == "object" or "properties" in schema:
        return _object_ends(schema, ending)
    if schema.get("type") == "array" or "items" in schema or "prefixItems" in schema:
        return _array_ends(schema, ending)
    return True


def _object_ends(schema: Schema, ending: set[str]) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return True
    return all(_ends(properties.get(name, True), ending) for name in required if isinstance(name, str))


def _array_ends(schema: Schema, ending: set[str]) -> bool:
    prefix = schema.get("prefixItems")
    if isinstance(prefix, list) and not all(_ends(item, ending) for item in prefix):
        return False
    return schema.get("minItems") in (None, 0) or _ends(schema.get("items", True), ending)

"""Tells whether no value can follow two schemas at once, which `oneOf` needs."""

from service.engine.backends.ebnf.reader import Schema, SchemaReader, json_type, spelled

_MOST_DEPTH = 8


def are_distinct(reader: SchemaReader, one: object, other: object, place: str, depth: int = 0) -> bool:
    """True when it is certain: by their types, by their values, or by a required property of both."""
    if depth > _MOST_DEPTH:
        return False
    first, second = _follow(reader, one, place), _follow(reader, other, place)
    if first is None or second is None:
        return False
    values, others = _values(first), _values(second)
    if values is not None and others is not None:
        return not values & others
    types, other_types = _types(reader, first, place), _types(reader, second, place)
    if not types & other_types:
        return True
    if types | other_types != {"object"}:
        return False
    return any(
        are_distinct(reader, first["properties"][name], second["properties"][name], place, depth + 1)
        for name in _required(first) & _required(second)
    )


def _follow(reader: SchemaReader, schema: object, place: str) -> Schema | None:
    """The schema behind references and an `allOf` of one; None when it combines others in another way."""
    for _ in range(_MOST_DEPTH):
        asserted = reader.asserted(schema, place)
        keyword = reader.combining(asserted, place)
        if keyword == "$ref":
            _, schema = reader.target(asserted, place)
        elif keyword == "allOf" and isinstance(asserted["allOf"], list) and len(asserted["allOf"]) == 1:
            schema = asserted["allOf"][0]
        else:
            return None if keyword in ("allOf", "anyOf", "oneOf") else asserted
    return None


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {spelled(schema["const"])}
    if isinstance(schema.get("enum"), list):
        return {spelled(value) for value in schema["enum"]}
    return None


def _types(reader: SchemaReader, schema: Schema, place: str) -> set[str]:
    """By name, an integer being a number, too."""
    if "const" in schema:
        names = {json_type(schema["const"])}
    elif isinstance(schema.get("enum"), list):
        names = {json_type(value) for value in schema["enum"]}
    else:
        names = set(reader.types(schema, place))
    return {"number" if name == "integer" else name for name in names}


def _required(schema: Schema) -> set[str]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return set()
    return {name for name in required if isinstance(name, str) and name in properties}

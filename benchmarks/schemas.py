"""JSON schemas of many kinds, as clients send them."""

from typing import Any

_ADDRESS = {
    "type": "object",
    "properties": {"street": {"type": "string"}, "number": {"type": "integer", "minimum": 1, "maximum": 999}},
    "required": ["street", "number"],
    "additionalProperties": False,
}

SCHEMAS: dict[str, Any] = {
    "any object": {"type": "object"},
    "empty object": {"type": "object", "properties": {}, "additionalProperties": False},
    "flat object": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "member": {"type": "boolean"}},
        "required": ["name", "age", "member"],
        "additionalProperties": False,
    },
    "nested objects": {
        "type": "object",
        "properties": {"person": {"type": "object", "properties": {"home": _ADDRESS}, "required": ["home"]}},
        "required": ["person"],
    },
    "optional properties": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "null"}, "c": {"type": "boolean"}},
        "required": ["b"],
    },
    "array of 2 to 4": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    "array of objects": {
        "type": "array",
        "items": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
        "maxItems": 3,
    },
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False},
    "enum": {"enum": ["red", "green", "blue", 7, None, True]},
    "enum of many alike": {
        "enum": [f"{a}-{b}" for a in ("ab", "ac", "dc", "d") for b in ("x1", "y1", "y2", "z")]
    },
    "enum in an object": {
        "type": "object",
        "properties": {"mood": {"type": "string", "enum": ["happy", "sad", "so-so"]}},
        "required": ["mood"],
    },
    "const": {"const": {"version": 1, "text": 'a "quoted" \\ text\n'}},
    "anyOf": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}]},
    "oneOf by a constant": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "maximum": 9}},
                "required": ["kind", "lives"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "dog"}, "good": {"type": "boolean"}},
                "required": ["kind", "good"],
            },
        ]
    },
    "references": {
        "$defs": {"address": _ADDRESS},
        "type": "object",
        "properties": {"from": {"$ref": "#/$defs/address"}, "to": {"$ref": "#/$defs/address"}},
        "required": ["from", "to"],
    },
    "recursion": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
                },
                "required": ["value"],
            }
        },
        "$ref": "#/$defs/node",
    },
    "pattern": {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}$"}},
        "required": ["code"],
    },
    "pattern without anchors": {"type": "string", "pattern": "[0-9]{2}"},
    "formats": {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "id": {"type": "string", "format": "uuid"},
            "mail": {"type": "string", "format": "email"},
            "host": {"type": "string", "format": "ipv4"},
        },
        "required": ["day", "at", "id", "mail", "host"],
    },
    "string of 3 to 20": {"type": "string", "minLength": 3, "maxLength": 20},
    "integers with bounds": {
        "type": "object",
        "properties": {
            "percent": {"type": "integer", "minimum": 0, "maximum": 100},
            "below": {"type": "integer", "exclusiveMaximum": -5},
        },
        "required": ["percent", "below"],
    },
    "numbers with bounds": {
        "type": "object",
        "properties": {
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "price": {"type": "number", "exclusiveMinimum": 0},
            "warmth": {"type": "number", "minimum": -273.15, "maximum": 99.9},
        },
        "required": ["score", "price", "warmth"],
    },
    "nullable": {
        "type": "object",
        "properties": {
            "nickname": {"type": ["string", "null"]},
            "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["nickname", "age"],
    },
    "further properties": {
        "type": "object",
        "properties": {"total": {"type": "integer"}},
        "required": ["total"],
        "additionalProperties": {"type": "boolean"},
    },
    "map": {
        "type": "object",
        "additionalProperties": {"type": "number"},
        "minProperties": 1,
        "maxProperties": 3,
    },
    "names beyond ASCII": {
        "type": "object",
        "properties": {
            "größe": {"type": "integer"},
            "名前": {"type": "string"},
            'a "b" \\c': {"type": "null"},
        },
        "required": ["größe", "名前", 'a "b" \\c'],
    },
    "pydantic's": {
        "$defs": {"Size": {"enum": ["S", "M", "L"], "title": "Size", "type": "string"}},
        "description": "An order.",
        "properties": {
            "item": {"description": "What.", "title": "Item", "type": "string"},
            "size": {"$ref": "#/$defs/Size", "default": "M"},
            "note": {
                "anyOf": [{"maxLength": 20, "type": "string"}, {"type": "null"}],
                "default": None,
                "title": "Note",
            },
        },
        "required": ["item", "size"],
        "title": "Order",
        "type": "object",
    },
}

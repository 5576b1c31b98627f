"""Translates a JSON schema; what the grammar can't hold an answer to is refused by name."""

from collections.abc import Iterable
from itertools import combinations

import msgspec

from service.engine.backends.ebnf.automaton import Characters, Choice, Expression, Repeat, Sequence
from service.engine.backends.ebnf.bounds import MOST_INTEGER, MOST_NUMBER, Digits, Interval
from service.engine.backends.ebnf.characters import EVERY, as_they_are, in_json, only, union
from service.engine.backends.ebnf.distinct import are_distinct
from service.engine.backends.ebnf.formats import FORMATS
from service.engine.backends.ebnf.matching import matching
from service.engine.backends.ebnf.names import other_names
from service.engine.backends.ebnf.notation import Rules
from service.engine.backends.ebnf.pattern import ANYTHING, PatternError, parse_pattern
from service.engine.backends.ebnf.reader import (
    Schema,
    SchemaReader,
    count,
    items,
    json_type,
    mapping,
    number,
    refusal,
    spelled,
    text,
)
from service.errors import ValidationError

# Small models never stop writing blanks that a grammar allows without end.
_MOST_INDENT = 20
_MOST_ONE_OF = 64
_SPACE = Characters(ranges=only(" "))
_BLANK = Repeat(part=_SPACE, least=0, most=1)
_INDENTED = Sequence(parts=(Characters(ranges=only("\n")), Repeat(part=_SPACE, least=0, most=_MOST_INDENT)))
_GAP = Choice(choices=(_BLANK, _INDENTED))
# What values, names and closing brackets begin with.
_AFTER_BLANKS = union(*map(only, '"-0123456789tfn[]{}'))


def schema_grammar(schema_text: str) -> str:
    """The EBNF of a JSON schema, given as JSON text.

    Every answer that the grammar allows matches the schema; of the answers that match, it leaves out some:
    properties come in the schema's order, and others than these only where `additionalProperties` is given.

    Raises:
        ValidationError: with the keyword and its place.
    """
    try:
        return _Translator(SchemaReader(schema_text)).grammar()
    except RecursionError as error:
        raise ValidationError("the schema is nested too deep", param="grammar") from error
    except UnicodeEncodeError as error:
        raise ValidationError("the schema holds half a surrogate pair", param="grammar") from error


class _Translator:
    """Writes the rules of one schema; each method returns an expression."""

    def __init__(self, reader: SchemaReader) -> None:
        self._reader = reader
        self._rules = Rules()
        self._named: dict[str, str] = {}
        # References on the way from the last bracket to here: to meet one again means to go in circles.
        self._open: tuple[str, ...] = ()
        rules = self._rules
        self._gap = self._blanks(_GAP)
        self._colon = rules.sequence([rules.text(":"), self._blanks(_BLANK)])
        self._comma = rules.sequence([rules.text(","), self._gap])
        self._matching: dict[Expression, str] = {}
        self._any_text = self._quoted(ANYTHING)
        self._digits = Digits(rules)
        self._boolean = rules.choice([rules.text("true"), rules.text("false")])
        self._null = rules.text("null")
        self._any = rules.reserve()
        members = self._listed(self._entry(self._any_text, self._any), 0, None)
        values = [
            self._enclosed("{", members, "}"),
            self._enclosed("[", self._listed(self._any, 0, None), "]"),
        ]
        values += [self._any_text, self._digits.number(), self._boolean, self._null]
        rules.define(self._any, rules.choice(values))

    def grammar(self) -> str:
        """Translate."""
        return self._rules.script(self._schema(self._reader.root, "#"))

    def _schema(self, schema: object, place: str) -> str:
        asserted = self._reader.asserted(schema, place)
        if not asserted:
            return self._any
        keyword = self._reader.combining(asserted, place)
        if keyword == "$ref":
            return self._reference(asserted, place)
        if keyword in ("const", "enum"):
            return self._values(asserted, place)
        if keyword is not None:
            return self._choices(asserted, keyword, place)
        return self._rules.choice(
            self._of_type(name, asserted, place) for name in self._reader.types(asserted, place)
        )

    def _inner(self, schema: object, place: str) -> str:
        """A schema inside brackets."""
        opened, self._open = self._open, ()
        expression = self._schema(schema, place)
        self._open = opened
        return expression

    def _reference(self, asserted: Schema, place: str) -> str:
        reference, schema = self._reader.target(asserted, place)
        if "type" in asserted:
            raise refusal(place, "`type` beside `$ref` is not supported")
        if reference in self._open:
            raise refusal(place, "`$ref` leads back to itself")
        if reference not in self._named:
            name = self._named[reference] = self._rules.reserve()
            self._open = (*self._open, reference)
            self._rules.define(name, self._schema(schema, reference))
            self._open = self._open[:-1]
        return self._named[reference]

    def _choices(self, asserted: Schema, keyword: str, place: str) -> str:
        if "type" in asserted:
            raise refusal(place, f"`type` beside `{keyword}` is not supported")
        choices = items(asserted, keyword, place)
        if not choices:
            raise refusal(place, f"`{keyword}` must not be empty")
        if keyword == "allOf" and len(choices) > 1:
            raise refusal(place, "`allOf` of more than one schema is not supported")
        if keyword == "oneOf":
            self._check_one_of(choices, place)
        translated = [
            self._schema(choice, f"{place}/{keyword}/{index}") for index, choice in enumerate(choices)
        ]
        return self._rules.choice(translated)

    def _check_one_of(self, choices: list[object], place: str) -> None:
        if len(choices) > _MOST_ONE_OF:
            raise refusal(place, f"`oneOf` may have at most {_MOST_ONE_OF} schemas; it has {len(choices)}")
        for one, other in combinations(choices, 2):
            if not are_distinct(self._reader, one, other, place):
                raise refusal(
                    place,
                    "`oneOf` needs schemas that no answer can match at once, known by their types or by a "
                    "required property with different constants; use `anyOf`",
                )

    def _values(self, asserted: Schema, place: str) -> str:
        values = items(asserted, "enum", place)
        if "const" in asserted:
            is_listed = "enum" not in asserted or spelled(asserted["const"]) in map(spelled, values)
            values = [asserted["const"]] if is_listed else []
        if "type" in asserted:
            types = self._reader.types(asserted, place)
            is_number = "number" in types
            values = [
                value
                for value in values
                if json_type(value) in types or (is_number and json_type(value) == "integer")
            ]
        if not values:
            raise refusal(place, "no value is allowed")
        return self._literals(values)

    def _of_type(self, name: str, asserted: Schema, place: str) -> str:
        if name == "object":
            return self._object(asserted, place)
        if name == "array":
            return self._array(asserted, place)
        if name == "string":
            return self._string(asserted, place)
        if name in ("integer", "number"):
            return self._numeric(name, asserted, place)
        return self._null if name == "null" else self._boolean

    def _numeric(self, name: str, asserted: Schema, place: str) -> str:
        lows = [number(asserted, "minimum", place), number(asserted, "exclusiveMinimum", place)]
        highs = [number(asserted, "maximum", place), number(asserted, "exclusiveMaximum", place)]
        given = [bound for bound in (*lows, *highs) if bound is not None]
        if not given:
            return self._digits.integer() if name == "integer" else self._digits.number()
        most = MOST_INTEGER if name == "integer" else MOST_NUMBER
        if any(abs(bound) > most for bound in given):
            raise refusal(place, f"a bound must be from -{most} to {most}")
        low = max((bound for bound in lows if bound is not None), default=-most)
        high = min((bound for bound in highs if bound is not None), default=most)
        interval = Interval(low=low, high=high, above=low == lows[1], below=high == highs[1])
        try:
            within = self._digits.integers_in if name == "integer" else self._digits.numbers_in
            choices = within(interval)
        except ValueError as error:
            raise refusal(place, str(error)) from error
        if not choices:
            raise refusal(place, f"no {name} is within the bounds")
        return self._rules.choice(choices)

    def _string(self, asserted: Schema, place: str) -> str:
        given = [keyword for keyword in ("pattern", "format") if keyword in asserted]
        least, most = self._counts(asserted, "minLength", "maxLength", place)
        if len(given) > 1 or (given and (least, most) != (0, None)):
            raise refusal(place, f"`{given[0]}` beside `format`, `minLength` or `maxLength` is not supported")
        try:
            if not given:
                return self._quoted(Repeat(part=Characters(ranges=EVERY), least=least, most=most))
            pattern = text(asserted, given[0], place)
            if given == ["pattern"]:
                return self._quoted(parse_pattern(pattern, is_search=True))
            if pattern not in FORMATS:
                raise refusal(place, f"`format` must be one of {', '.join(FORMATS)}")
            return self._quoted(parse_pattern(FORMATS[pattern], is_search=False))
        except PatternError as error:
            raise refusal(place, f"`{given[0] if given else 'maxLength'}`: {error}") from error

    def _array(self, asserted: Schema, place: str) -> str:
        least, most = self._counts(asserted, "minItems", "maxItems", place)
        unique = asserted.get("uniqueItems", False)
        if unique is not False and (unique is not True or most is None or most > 1):
            raise refusal(place, "`uniqueItems` is not supported")
        prefix = items(asserted, "prefixItems", place)[:most]
        first = [self._inner(schema, f"{place}/prefixItems/{index}") for index, schema in enumerate(prefix)]
        room = None if most is None else most - len(first)
        missing = max(0, least - len(first))
        others = asserted.get("items", True)
        if others is False or room == 0:
            if missing:
                raise refusal(place, f"`minItems` is {least}, but only {len(first)} are allowed")
            return self._enclosed("[", self._after_commas(first), "]")
        item = self._inner(others, f"{place}/items")
        if not first:
            return self._enclosed("[", self._listed(item, least, most), "]")
        more = self._rules.repeat(self._rules.sequence([self._comma, item]), missing, room)
        return self._enclosed("[", self._rules.sequence([self._after_commas(first), more]), "]")

    def _object(self, asserted: Schema, place: str) -> str:
        least, most = self._counts(asserted, "minProperties", "maxProperties", place)
        required = [name for name in items(asserted, "required", place) if isinstance(name, str)]
        if len(required) < len(items(asserted, "required", place)):
            raise refusal(place, "`required` must be a list of strings")
        others = asserted.get("additionalProperties", True)
        declared = mapping(asserted, "properties", place)
        undeclared = {name: others for name in required if name not in declared}
        properties = {
            name: schema
            for name, schema in (declared | undeclared).items()
            if schema is not False or name in required
        }
        if not properties:
            return self._map(others, least, most, place)
        if least > len(set(required)):
            raise refusal(place, "`minProperties` above the number of `required` properties is not supported")
        if most is not None and most < len(properties):
            raise refusal(place, "`maxProperties` below the number of `properties` is not supported")
        entries = [
            self._entry(self._literals([name]), self._inner(schema, f"{place}/properties/{name}"))
            for name, schema in properties.items()
        ]
        has_others = others is not False and "additionalProperties" in asserted
        other = None
        if has_others and (most is None or most > len(properties)):
            name = other_names(list(properties), self._rules)
            other = self._entry(name, self._inner(others, f"{place}/additionalProperties"))
        room = None if most is None else most - len(properties)
        return self._members(entries, [name in required for name in properties], other, room)

    def _map(self, others: object, least: int, most: int | None, place: str) -> str:
        """An object whose properties are all alike."""
        if least > 1:
            # A name may come twice, and counts once.
            raise refusal(place, "`minProperties` above 1 is not supported where any name is allowed")
        if others is False or most == 0:
            if least:
                raise refusal(place, "`minProperties` asks for a property, but none is allowed")
            return self._rules.text("{}")
        entry = self._entry(self._any_text, self._inner(others, f"{place}/additionalProperties"))
        return self._enclosed("{", self._listed(entry, least, most), "}")

    def _members(self, entries: list[str], required: list[bool], other: str | None, room: int | None) -> str:
        """Entries in their order, those not required at will, then `room` others."""
        rules = self._rules
        tail = rules.repeat(rules.sequence([self._comma, other]), 0, room) if other else rules.nothing
        starts = [self._listed(other, 0, room)] if other else [rules.nothing]
        for entry, is_required in reversed(list(zip(entries, required, strict=True))):
            following = rules.sequence([self._comma, entry, tail])
            starts = [*([] if is_required else starts), rules.sequence([entry, tail])]
            tail = following if is_required else rules.choice([following, tail])
        return self._enclosed("{", rules.choice(starts), "}")

    def _entry(self, name: str, value: str) -> str:
        return self._rules.sequence([name, self._colon, value])

    def _counts(self, asserted: Schema, lower: str, upper: str, place: str) -> tuple[int, int | None]:
        least, most = count(asserted, lower, place) or 0, count(asserted, upper, place)
        if most is not None and least > most:
            raise refusal(place, f"`{lower}` is above `{upper}`")
        return least, most

    def _literals(self, values: Iterable[object]) -> str:
        return self._rules.choice(self._rules.text(msgspec.json.encode(value).decode()) for value in values)

    def _blanks(self, expression: Expression) -> str:
        return matching(expression, as_they_are, self._rules, ending="", before=_AFTER_BLANKS)

    def _quoted(self, expression: Expression) -> str:
        """The string of all texts that match. Raises: PatternError."""
        if expression not in self._matching:
            rest = matching(expression, in_json, self._rules, ending='"')
            self._matching[expression] = self._rules.sequence([self._rules.text('"'), rest])
        return self._matching[expression]

    def _after_commas(self, elements: list[str]) -> str:
        return self._rules.sequence(
            part
            for index, element in enumerate(elements)
            for part in ([self._comma] if index else []) + [element]
        )

    def _listed(self, element: str, least: int, most: int | None) -> str:
        """From `least` to `most` elements with commas between them."""
        if most == 0:
            return self._rules.nothing
        rest = self._rules.repeat(
            self._rules.sequence([self._comma, element]),
            max(0, least - 1),
            None if most is None else most - 1,
        )
        listed = self._rules.sequence([element, rest])
        return listed if least else self._rules.optional(listed)

    def _enclosed(self, opening: str, inner: str, closing: str) -> str:
        rules = self._rules
        return rules.sequence([rules.text(opening), self._gap, inner, self._gap, rules.text(closing)])

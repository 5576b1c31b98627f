"""Schemas and patterns as grammars: what can't be held is refused by name, the rest is spelled safely."""

import itertools
import json
import re
from typing import Any

import pytest

from benchmarks.schemas import SCHEMAS
from service.domain import Grammar
from service.engine.backends.ebnf.automaton import Characters, automaton
from service.engine.backends.ebnf.characters import EVERY, complement, in_json, intersection, union
from service.engine.backends.ebnf.grammar import text_grammar
from service.engine.backends.ebnf.notation import Rules, Spelled
from service.engine.backends.ebnf.pattern import PatternError, parse_pattern
from service.engine.backends.ebnf.schema import schema_grammar
from service.errors import ValidationError

INTEGER = {"type": "integer"}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_every_schema_of_the_benchmark_becomes_a_grammar_whose_rules_are_all_there(schema: Any) -> None:
    lines = dict(line.split(" ::= ", 1) for line in schema_grammar(json.dumps(schema)).splitlines())
    for body in lines.values():
        without_texts = re.sub(r'"[^"]*"|\[[^]]*\]', "", body)
        assert set(re.findall(r"[a-z]\w*", without_texts)) <= lines.keys()


@pytest.mark.parametrize(
    "keyword",
    [
        *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"),
        *(
            "propertyNames",
            "unevaluatedProperties",
            "unevaluatedItems",
            "contains",
            "minContains",
            "maxContains",
        ),
        *("multipleOf", "$dynamicRef", "$anchor", "made_up"),
    ],
)
def test_a_keyword_that_a_grammar_can_not_hold_is_refused_with_its_place(keyword: str) -> None:
    schema = {"properties": {"a": {"items": {keyword: {}}}}}
    with pytest.raises(ValidationError, match=f"#/properties/a/items: `{re.escape(keyword)}`"):
        schema_grammar(json.dumps(schema))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (False, "allows no answer"),
        (3, "must be an object, true or false"),
        ({"type": "text"}, "`type` must be one of"),
        ({"type": []}, "names no type"),
        ({"type": "string", "minLength": -1}, "`minLength` must be a whole number"),
        ({"type": "string", "minLength": True}, "`minLength` must be a number"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "`minLength` is above `maxLength`"),
        ({"type": "string", "maxLength": 100_000}, "`maxLength` may be at most 1000; it is 100000"),
        ({"type": "string", "maxLength": 900}, "more than 300 characters"),
        ({"type": "string", "pattern": "a", "maxLength": 4}, "`pattern` beside"),
        ({"type": "string", "pattern": "(a"}, "`pattern`: character 2"),
        ({"type": "string", "pattern": "^\\x01$"}, "no text that can stand here"),
        ({"type": "string", "format": "phone"}, "`format` must be one of"),
        ({"type": "array", "uniqueItems": True}, "`uniqueItems`"),
        ({"type": "array", "items": [INTEGER]}, "a schema must be an object"),
        ({"type": "array", "items": False, "minItems": 1}, "only 0 are allowed"),
        ({"type": "object", "required": "a"}, "`required` must be a list"),
        ({"type": "object", "required": [3]}, "`required` must be a list of strings"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "allows no answer"),
        ({"type": "object", "minProperties": 2}, "`minProperties` above 1"),
        ({"type": "object", "properties": {"a": {}}, "maxProperties": 0}, "`maxProperties` below"),
        ({"enum": ["a"], "type": "integer"}, "no value is allowed"),
        ({"const": 1, "enum": [2]}, "no value is allowed"),
        ({"const": 1, "enum": [True]}, "no value is allowed"),
        ({"enum": ["a"], "minLength": 1}, "`minLength` beside `enum`"),
        ({"anyOf": []}, "`anyOf` must not be empty"),
        ({"anyOf": [INTEGER], "minimum": 1}, "`minimum` beside `anyOf`"),
        ({"allOf": [INTEGER, {"minimum": 1}]}, "`allOf` of more than one"),
        ({"oneOf": [INTEGER, {"type": "number"}]}, "no answer can match at once"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no integer is within"),
        ({"type": "integer", "minimum": 0.5, "maximum": 0.7}, "no integer is within"),
        ({"type": "integer", "minimum": 1e30}, "a bound must be from"),
        ({"type": "number", "minimum": "1"}, "`minimum` must be a number"),
        ({"type": "number", "exclusiveMinimum": True}, "`exclusiveMinimum` must be a number"),
        ({"type": "number", "maximum": 1e-9}, "at most 6 decimals"),
        ({"$ref": "#"}, "without end"),
        ({"$ref": "#/a"}, "leads nowhere"),
        ({"$ref": "other.json"}, "must point into the schema itself"),
        ({"$ref": 3}, "must point into the schema itself"),
        ({"anyOf": [{"$ref": "#"}, INTEGER]}, "leads back to itself"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "without end"),
        ({"properties": {"a": {"$id": "x", "$ref": "#/b"}}, "b": {}}, "`b` is not supported"),
        ({"properties": {"a": {"$id": "x"}}}, "`$id`"),
        ({"enum": [f"{number:040d}" for number in range(3)], "made up": 1}, "`made up`"),
    ],
    ids=str,
)
def test_a_broken_schema_or_one_that_nothing_matches_is_refused_with_the_reason(
    schema: Any, reason: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(reason)) as refusal:
        schema_grammar(json.dumps(schema))
    assert refusal.value.param == "grammar"


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [INTEGER, {"type": "string"}]},
        {"oneOf": [{"const": 1}, {"enum": [True, "1"]}]},
        {"oneOf": [{"$ref": "#/$defs/a"}, {"type": "null"}], "$defs": {"a": INTEGER}},
        {"const": "a", "enum": ["a"], "type": "string", "title": "A literal"},
        {"type": "object", "properties": {"a": {}}, "x-note": 1, "$schema": "any", "$id": "any"},
        {"allOf": [{"$ref": "#/$defs/a"}], "description": "one", "$defs": {"a": INTEGER}},
        {"type": "array", "uniqueItems": True, "maxItems": 1},
    ],
    ids=str,
)
def test_what_generators_of_schemas_write_is_taken(schema: Any) -> None:
    assert schema_grammar(json.dumps(schema)).startswith("root ::= ")


def test_a_schema_nested_too_deep_is_refused() -> None:
    schema = '{"items":' * 400 + "{}" + "}" * 400
    with pytest.raises(ValidationError, match="deep"):
        schema_grammar(schema)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(",
            ")",
            "[a",
            "a{2,1}",
            "a{1001}",
            "a**",
            "*a",
            "a^b",
            "a$b",
            "a{x}",
            "\\",
            "\\x4",
            "\\u12",
            "\\0",
        ),
        *("\\b", "\\1", "\\p{L}", "(?=a)", "(?!a)", "(?<=a)", "(?i)a", "[b-a]", "[]", "[a-\\d]"),
    ],
)
def test_a_pattern_that_is_broken_or_looks_around_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        parse_pattern(pattern, is_search=True)


def follow(pattern: str, text: str, *, is_search: bool) -> bool:
    """Whether the automaton of the pattern takes the text."""
    states = automaton(parse_pattern(pattern, is_search=is_search))
    at = 0
    for character in text:
        targets = [
            target
            for ranges, target in states[at].steps
            if any(first <= ord(character) <= last for first, last in ranges)
        ]
        assert len(targets) <= 1, "the automaton is in two states at once"
        if not targets:
            return False
        at = targets[0]
    return states[at].is_end


@pytest.mark.parametrize(
    "text", ["", "a", "b", "ab", "abc", "aab", "a1", "1a", "A b", "é", "a\nb", "-", "1.5", "bb"]
)
@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "a",
            "^a",
            "a$",
            "^a$",
            "a|^b",
            "^(a|b)*$",
            "^[^a]$",
            "\\d",
            "^\\w+$",
            "^\\S+$",
            "^.$",
            "",
            "^a?b{1,2}$",
        ),
        *("^(?:a|ab)(?:c|b)?$", "^[a-c1]+$", "^\\x61$", "^\\u00e9$", "^[\\d.-]+$", "^(a+?)+$", "^(?<n>a)b$"),
    ],
)
def test_an_automaton_takes_what_the_pattern_matches(pattern: str, text: str) -> None:
    python = pattern.replace("?<n>", "?P<n>")
    assert follow(pattern, text, is_search=True) == bool(
        re.search(python.replace("$", "\\Z"), text, re.ASCII)
    )
    bare = python.strip("^$") if python.count("|") == 0 else python.replace("^", "").replace("$", "")
    assert follow(pattern, text, is_search=False) == bool(re.fullmatch(bare, text, re.ASCII))


def test_sets_of_characters_have_complements_and_no_surrogates() -> None:
    letters = union(((0x61, 0x63),), ((0x64, 0x7A),))
    assert letters == ((0x61, 0x7A),)
    assert complement(letters) == ((0x01, 0x60), (0x7B, 0xD7FF), (0xE000, 0x10FFFF))
    assert union(letters, complement(letters)) == EVERY
    assert intersection(letters, complement(letters)) == ()


def test_in_json_quotes_and_backslashes_are_escaped_and_control_characters_left_out() -> None:
    spelled = in_json(EVERY)
    assert set(spelled.escaped) == set('btnfr"\\')
    plain = {chr(code) for first, last in spelled.plain for code in range(first, min(last, 0x7F) + 1)}
    assert plain == {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}
    assert not in_json(((0x01, 0x07),))


def test_a_digit_behind_a_character_that_is_written_as_a_code_starts_a_new_text() -> None:
    # xgrammar writes "ße" as "\xdfe", which is one character when it reads it again.
    rules = Rules()
    assert '"gr\\U000000f6\\U000000df" "e"' in rules.script(rules.text("größe"))


def test_a_range_of_three_bytes_ends_with_a_whole_block_or_stays_in_one() -> None:
    # xgrammar 0.1.31 loses the end of such a range, and then no character can follow its first byte.
    pieces = Spelled(plain=((0xA0, 0xD7FF), (0xE000, 0x10FFFF))).pieces()
    assert pieces == [(0xA0, 0x7FF), (0x800, 0xCFFF), (0xD000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]


def test_alternatives_that_begin_alike_are_rules_of_their_own() -> None:
    # Within one rule xgrammar 0.1.31 merges them with others that end alike: "dc" | "ab" | "ac" takes "db".
    rules = Rules()
    script = rules.script(rules.choice([rules.text("dc"), rules.text("ab"), rules.text("ac")]))
    choice = next(line for line in script.splitlines() if "|" in line)
    assert '"' not in choice


def test_characters_that_lead_on_have_nothing_in_common() -> None:
    for state in automaton(parse_pattern("(a|ab|[a-c]d)*x", is_search=True)):
        ranges = sorted(each for step, _ in state.steps for each in step)
        assert all(left[1] < right[0] for left, right in itertools.pairwise(ranges))


def test_one_set_of_characters_is_an_automaton_of_two_states() -> None:
    first, second = automaton(Characters(ranges=((0x61, 0x61),)))
    assert first.steps == ((((0x61, 0x61),), 1),)
    assert (first.is_end, second.steps, second.is_end) == (False, (), True)


def test_a_regular_expression_is_a_grammar_of_plain_text() -> None:
    script = text_grammar(Grammar(kind="regex", value='a"'))
    assert "\\U00000022" in script
    assert "\\U0000005c" not in script

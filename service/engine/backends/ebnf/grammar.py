"""Every kind of grammar as EBNF."""

from typing import Any

import msgspec

from service.domain import Grammar
from service.engine.backends.ebnf.characters import as_they_are
from service.engine.backends.ebnf.matching import matching
from service.engine.backends.ebnf.notation import Rules
from service.engine.backends.ebnf.pattern import PatternError, parse_pattern
from service.engine.backends.ebnf.schema import schema_grammar
from service.errors import ValidationError


class Tag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text that begins and ends like this, with JSON of the schema between."""

    begin: str
    schema: dict[str, Any]
    end: str

    def grammar(self) -> str:
        """The EBNF of what stands between. Raises: ValidationError, as `schema_grammar` does."""
        return schema_grammar(msgspec.json.encode(self.schema).decode())


class StructuralTags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Free text in which, from a trigger on, one of the tags must follow.

    With `at_least_one` a tag must come at once, and with `stop_after_first` the answer ends after one.
    """

    triggers: list[str]
    tags: list[Tag]
    at_least_one: bool = False
    stop_after_first: bool = False


def text_grammar(grammar: Grammar) -> str:
    """The EBNF of a JSON schema or of a regular expression.

    Raises:
        ValidationError: with the reason.
    """
    if grammar.kind == "json_schema":
        return schema_grammar(grammar.value)
    rules = Rules()
    try:
        root = matching(parse_pattern(grammar.value, is_search=False), as_they_are, rules, ending="")
    except PatternError as error:
        raise ValidationError(f"the regex: {error}", param="grammar") from error
    except RecursionError as error:
        raise ValidationError("the regex is nested too deep", param="grammar") from error
    return rules.script(root)


def structural_tags(grammar: Grammar) -> StructuralTags:
    """Read a grammar of kind `structural_tags`.

    Raises:
        ValidationError: with the reason.
    """
    try:
        return msgspec.json.decode(grammar.value, type=StructuralTags)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValidationError(f"the structural tags are broken: {error}", param="grammar") from error

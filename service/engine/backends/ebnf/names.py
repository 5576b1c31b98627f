"""Names of properties that a schema doesn't list."""

from collections.abc import Sequence
from itertools import groupby

from service.engine.backends.ebnf.characters import UNESCAPED, complement, holds, intersection, only, union
from service.engine.backends.ebnf.notation import Rules


def other_names(listed: Sequence[str], rules: Rules) -> str:
    """Any string but the listed ones, in quotes; without escapes, which could spell a listed one."""
    rest = rules.repeat(rules.one_of(UNESCAPED), 0, None)
    quote = rules.text('"')
    return rules.sequence([quote, _unlike(sorted(set(listed)), 0, rest, rules), quote])


def _unlike(listed: Sequence[str], at: int, rest: str, rules: Rules) -> str:
    """What may follow the first `at` characters, which all of these names share."""
    longer = [name for name in listed if len(name) > at]
    choices = [rules.nothing] if len(longer) == len(listed) else []
    next_characters = []
    for character, names in groupby(longer, key=lambda name: name[at]):
        next_characters.append(only(character))
        if holds(UNESCAPED, character):
            choices.append(rules.sequence([rules.text(character), _unlike(list(names), at + 1, rest, rules)]))
    free = intersection(UNESCAPED, complement(union(*next_characters)))
    return rules.choice([*choices, rules.sequence([rules.one_of(free), rest])])

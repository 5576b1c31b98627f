"""Names of properties that a schema doesn't list."""

from collections.abc import Sequence
from itertools import groupby

from service.engine.backends.ebnf.characters import UNESCAPED, complement, holds, intersection, only, union
from service.engine.backends.ebnf.notation import Rules, Spelled


def other_names(listed: Sequence[str], rules: Rules) -> str:
    """Any string but the listed ones, in quotes; without escapes, which could spell a listed one."""
    plain = Spelled(plain=UNESCAPED)
    rest = rules.reserve()
    rules.define_state(rest, [(plain, rest)], ending='"')
    return rules.sequence([rules.text('"'), _unlike(sorted(set(listed)), 0, rest, rules)])


def _unlike(listed: Sequence[str], at: int, rest: str, rules: Rules) -> str:
    """What may follow the first `at` characters, which all of these names share."""
    longer = [name for name in listed if len(name) > at]
    steps = []
    next_characters = []
    for character, names in groupby(longer, key=lambda name: name[at]):
        next_characters.append(only(character))
        if holds(UNESCAPED, character):
            steps.append((Spelled(plain=only(character)), _unlike(list(names), at + 1, rest, rules)))
    free = intersection(UNESCAPED, complement(union(*next_characters)))
    state = rules.reserve()
    is_listed = len(longer) < len(listed)
    rules.define_state(state, [*steps, (Spelled(plain=free), rest)], ending=None if is_listed else '"')
    return state

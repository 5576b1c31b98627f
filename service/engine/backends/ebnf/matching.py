"""Writes the texts that match a regular expression."""

from collections.abc import Callable, Sequence

from service.engine.backends.ebnf.automaton import AutomatonError, Expression, State, automaton
from service.engine.backends.ebnf.notation import Ranges, Rules, Spelled
from service.engine.backends.ebnf.pattern import PatternError

Spelling = Callable[[Ranges], Spelled]
"""How the characters of a set are written where the text stands."""


def matching(
    expression: Expression, spelling: Spelling, rules: Rules, *, ending: str, before: Ranges = ()
) -> str:
    """All texts that match, each with `ending` behind it, which must begin like none of its characters.

    With an ending the compiler takes a third less time for long texts, and the engine less for each token.
    `before` is what alone can follow, if that is known: without it the compiler keeps a list of most tokens
    wherever a blank may stand, 2 MiB in all.

    Raises:
        PatternError: the expression is too large, or matches nothing that can be written.
    """
    try:
        states = automaton(expression)
    except AutomatonError as error:
        raise PatternError(str(error)) from error
    steps = [
        [(spelled, target) for ranges, target in state.steps if (spelled := spelling(ranges))]
        for state in states
    ]
    useful = _useful(states, steps)
    if 0 not in useful:
        raise PatternError("no text that can stand here matches")
    names = {state: rules.reserve() for state in sorted(useful)}
    for state, name in names.items():
        leading_on = [(spelled, names[target]) for spelled, target in steps[state] if target in useful]
        rules.define_state(name, leading_on, ending=ending if states[state].is_end else None, before=before)
    return names[0]


def _useful(states: Sequence[State], steps: Sequence[Sequence[tuple[Spelled, int]]]) -> set[int]:
    """The states from which an end can be reached."""
    before: dict[int, list[int]] = {}
    for state, leading_on in enumerate(steps):
        for _, target in leading_on:
            before.setdefault(target, []).append(state)
    useful = {state for state, each in enumerate(states) if each.is_end}
    waiting = list(useful)
    while waiting:
        for state in before.get(waiting.pop(), []):
            if state not in useful:
                useful.add(state)
                waiting.append(state)
    return useful

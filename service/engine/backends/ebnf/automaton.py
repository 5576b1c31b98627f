"""Regular expressions as automata that are never in two states at once.

The compiler's parser follows every reading of a text at the same time. Of an expression such as ([a-z]+ ?)*
there are so many that it took 0.2 s a token, and the engine's other requests had to wait for it.
"""

import itertools
from dataclasses import dataclass

from service.engine.backends.ebnf.characters import union
from service.engine.backends.ebnf.notation import Ranges

_MOST_STATES = 2_000
_MOST_STEPS = 5_000


class AutomatonError(ValueError):
    """The expression needs too large an automaton."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Characters:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Parts that follow each other."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Alternatives."""

    choices: tuple["Expression", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """A part so many times; `most` None means without end."""

    part: "Expression"
    least: int
    most: int | None


Expression = Characters | Sequence | Choice | Repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where each set of characters leads; the sets have no member in common."""

    steps: tuple[tuple[Ranges, int], ...]
    is_end: bool


def automaton(expression: Expression) -> list[State]:
    """The states; the first one is the start.

    Raises:
        AutomatonError: there are too many.
    """
    steps = _Steps()
    last = steps.add(expression, steps.new())
    numbers = {steps.closure({0}): 0}
    states: list[State] = []
    for members in (waiting := list(numbers)):
        found: list[tuple[Ranges, int]] = []
        for ranges, targets in steps.leaving(members):
            if targets not in numbers:
                numbers[targets] = len(numbers)
                waiting.append(targets)
            found.append((ranges, numbers[targets]))
        states.append(State(steps=tuple(found), is_end=last in members))
        if len(numbers) > _MOST_STATES:
            raise AutomatonError(f"it needs more than {_MOST_STATES} states")
    return states


class _Steps:
    """The automaton as it is read off the expression: in several states at once."""

    def __init__(self) -> None:
        self._on: list[list[tuple[Ranges, int]]] = []
        self._free: list[list[int]] = []

    def new(self) -> int:
        """Another state."""
        if len(self._on) > _MOST_STEPS:
            raise AutomatonError(
                f"it has more than {_MOST_STEPS} parts, each counted as often as it is repeated"
            )
        self._on.append([])
        self._free.append([])
        return len(self._on) - 1

    def add(self, expression: Expression, start: int) -> int:
        """Let the expression begin at `start`; return where it ends."""
        if isinstance(expression, Characters):
            self._on[start].append((expression.ranges, self.new()))
            return len(self._on) - 1
        if isinstance(expression, Sequence):
            for part in expression.parts:
                start = self.add(part, start)
            return start
        if isinstance(expression, Repeat):
            return self._repeat(expression, start)
        ends = [self.add(choice, self._after(start)) for choice in expression.choices]
        return self._join(ends)

    def closure(self, members: set[int]) -> frozenset[int]:
        """These states, and all that are reached from them without a character."""
        waiting, seen = list(members), set(members)
        while waiting:
            for state in self._free[waiting.pop()]:
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
        return frozenset(seen)

    def leaving(self, members: frozenset[int]) -> list[tuple[Ranges, frozenset[int]]]:
        """The sets of characters that lead on, and to which states."""
        steps = [
            (first, last, target)
            for state in members
            for ranges, target in self._on[state]
            for first, last in ranges
        ]
        edges = sorted({first for first, _, _ in steps} | {last + 1 for _, last, _ in steps})
        by_targets: dict[frozenset[int], list[tuple[int, int]]] = {}
        for edge, following in itertools.pairwise(edges):
            targets = {target for first, last, target in steps if first <= edge <= last}
            if targets:
                by_targets.setdefault(self.closure(targets), []).append((edge, following - 1))
        return [(union(tuple(ranges)), targets) for targets, ranges in by_targets.items()]

    def _repeat(self, expression: Repeat, start: int) -> int:
        for _ in range(expression.least):
            start = self.add(expression.part, start)
        if expression.most is None:
            loop = self._after(start)
            self._free[self.add(expression.part, loop)].append(loop)
            return self._after(loop)
        ends = [start]
        for _ in range(expression.most - expression.least):
            start = self.add(expression.part, self._after(start))
            ends.append(start)
        return self._join(ends)

    def _after(self, state: int) -> int:
        self._free[state].append(self.new())
        return len(self._on) - 1

    def _join(self, states: list[int]) -> int:
        end = self.new()
        for state in states:
            self._free[state].append(end)
        return end

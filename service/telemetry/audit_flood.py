"""Keeps a flood of events from filling a disk."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_MAX_KEYS = 10_000
_MAX_LINES = 10_000
_HOUR_S = 3600.0
_SAME_END_S = 1.0


@dataclass(slots=True)
class _Repeated:
    until: float
    count: int = 0


class Repeats(Generic[Key]):
    """Lets the first of equal events through, and counts the others until its time is up.

    At most `max_keys` are remembered: what is new beyond them goes through each time.
    """

    def __init__(self, *, max_keys: int = _MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._repeated: dict[Key, _Repeated] = {}

    def is_first(self, key: Key, *, now: float, until: float) -> bool:
        """Whether to write this one; equal ones are counted up to `until`."""
        known = self._repeated.get(key)
        if known is not None and now < known.until:
            known.count += 1
            return False
        if known is not None:
            known.until = until
        elif len(self._repeated) < self._max_keys:
            self._repeated[key] = _Repeated(until)
        return True

    def restart_if_later(self, key: Key, until: float) -> None:
        """Let the next one through where it ends noticeably later: a new ban after one that was lifted."""
        known = self._repeated.get(key)
        if known is not None and until > known.until + _SAME_END_S:
            known.until = float("-inf")

    def take_ended(self, now: float) -> list[tuple[Key, int]]:
        """Those whose time is up, with how many were not written; none with 0."""
        ended = [key for key, repeated in self._repeated.items() if repeated.until <= now]
        counts = [(key, self._repeated.pop(key).count) for key in ended]
        return [(key, count) for key, count in counts if count]


class HourlyBudget:
    """At most `max_lines` of each event in an hour; the others are counted."""

    def __init__(self, *, max_lines: int = _MAX_LINES) -> None:
        self._max_lines = max_lines
        self._lines: Counter[str] = Counter()
        self._ends_at = 0.0

    def allows(self, event: str) -> bool:
        """Take one line, if there is one left; either way it is counted."""
        self._lines[event] += 1
        return self._lines[event] <= self._max_lines

    def take_ended(self, now: float) -> Mapping[str, int]:
        """Once an hour is over: how many of each event were not written in it."""
        if now < self._ends_at:
            return {}
        dropped = {event: count - self._max_lines for event, count in self._lines.items()}
        self._lines.clear()
        self._ends_at = now + _HOUR_S
        return {event: count for event, count in dropped.items() if count > 0}

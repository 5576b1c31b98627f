"""Reads text that comes in pieces, holding back what may turn out to be part of a tool call."""

import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from service.text.json_object import JsonObjectScanner

_T = TypeVar("_T")
# A step of reading: it pauses with `yield` when it needs more text than has come.
Reading: TypeAlias = Generator[None, None, _T]


class HeldText:
    """Text in order, each character of which is unread, then held, then given back or dropped.

    Its methods pause for text with `yield`; after `end()` they take what is there as all there is.
    """

    def __init__(self) -> None:
        self._unread = ""
        self._position = 0
        self._has_ended = False
        self._held: list[str] = []
        self._given_back: list[str] = []

    def add(self, text: str) -> None:
        """Put more text at the end."""
        self._unread = self._unread[self._position :] + text
        self._position = 0

    def end(self) -> None:
        """Say that no more text comes."""
        self._has_ended = True

    def content(self) -> str:
        """Take what was given back since the last time."""
        content = "".join(self._given_back)
        self._given_back.clear()
        return content

    def give_back(self) -> None:
        """What is held is no call."""
        self._given_back += self._held
        self._held.clear()

    def drop(self) -> None:
        """What is held was said in another way: it was a call, or belonged to one."""
        self._held.clear()

    def at_end(self) -> bool:
        """Whether all text is read, and no more comes."""
        return self._has_ended and self._position == len(self._unread)

    def take_while(self, pattern: re.Pattern[str]) -> Reading[str]:
        """Hold all that `pattern`, a repeated character class, matches; it may match nothing."""
        start = len(self._held)
        while True:
            match = pattern.match(self._unread, self._position)
            self._hold_to(match.end() if match else self._position)
            if self._position < len(self._unread) or not (yield from self._more()):
                return "".join(self._held[start:])

    def take(self, word: str) -> Reading[bool]:
        """Hold `word` if it comes next."""
        while not self._unread.startswith(word, self._position):
            rest = self._unread[self._position : self._position + len(word)]
            if not word.startswith(rest) or not (yield from self._more()):
                return False
        self._hold_to(self._position + len(word))
        return True

    def take_object(self) -> Reading[str | None]:
        """Hold a JSON object and return it; None when what comes next is none, or one that never ends."""
        scanner = JsonObjectScanner()
        start = len(self._held)
        while True:
            self._hold_to(scanner.scan(self._unread, self._position))
            if scanner.state == "complete":
                return "".join(self._held[start:])
            if scanner.state == "broken" or not (yield from self._more()):
                return None

    def pass_until(self, marker: str) -> Reading[bool]:
        """Give back all text up to `marker` and hold that; false when the text ends without it."""
        while True:
            place = self._unread.find(marker, self._position)
            found = place >= 0
            self._hold_to(place if found else len(self._unread) - self._begun(marker))
            self.give_back()
            if found:
                self._hold_to(place + len(marker))
                return True
            if not (yield from self._more()):
                self._hold_to(len(self._unread))
                self.give_back()
                return False

    def _more(self) -> Reading[bool]:
        if self._has_ended:
            return False
        yield
        return True

    def _hold_to(self, position: int) -> None:
        if position > self._position:
            self._held.append(self._unread[self._position : position])
            self._position = position

    def _begun(self, marker: str) -> int:
        """How many last characters of the text may be the marker's first ones."""
        longest = min(len(marker) - 1, len(self._unread) - self._position)
        return next((size for size in range(longest, 0, -1) if self._unread.endswith(marker[:size])), 0)

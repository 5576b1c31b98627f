"""Finds where a JSON object ends, in text that comes in pieces."""

import re
from typing import Literal

# What stands between strings and brackets: numbers, true, false, null, and their separators.
_PLAIN = re.compile(r"[\s:,0-9A-Za-z+\-.]*")
_IN_STRING = re.compile(r'[^"\\]*')
_CLOSING = {"{": "}", "[": "]"}
# Deeper than any call, and far from where Python's parser gives up.
_DEEPEST = 64


class JsonObjectScanner:
    """Reads every character once.

    `state` is "open" while the object goes on, "complete" at its last brace, and "broken" when the next
    character can't be part of it. A complete one has its brackets in order, and may be no JSON all the same.
    """

    def __init__(self) -> None:
        self.state: Literal["open", "complete", "broken"] = "open"
        self._expected: list[str] = []
        self._is_in_string = False
        self._is_escaped = False

    def scan(self, text: str, position: int) -> int:
        """Read on in `text` from `position`; return where the object ended, broke, or the text did."""
        while self.state == "open" and position < len(text):
            position = (
                self._in_string(text, position) if self._is_in_string else self._outside(text, position)
            )
        return position

    def _in_string(self, text: str, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            return position + 1
        position = _match_end(_IN_STRING, text, position)
        if position == len(text):
            return position
        self._is_escaped = text[position] == "\\"
        self._is_in_string = self._is_escaped
        return position + 1

    def _outside(self, text: str, position: int) -> int:
        if self._expected:
            position = _match_end(_PLAIN, text, position)
            if position == len(text):
                return position
        character = text[position]
        if character == '"' and self._expected:
            self._is_in_string = True
        elif self._opens(character):
            self._expected.append(_CLOSING[character])
        elif self._expected and character == self._expected[-1]:
            self._expected.pop()
            if not self._expected:
                self.state = "complete"
        else:
            self.state = "broken"
            return position
        return position + 1

    def _opens(self, character: str) -> bool:
        if not self._expected:
            return character == "{"
        return character in _CLOSING and len(self._expected) < _DEEPEST


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position

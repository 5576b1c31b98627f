"""Finds stop strings in text that comes in pieces."""

from collections.abc import Sequence


class StopMatcher:
    """Releases text up to the first stop string that is complete, wherever the text was cut into pieces.

    With `keep` the stop string is released too, as in TGI, and nothing ever waits. Without it, as in
    OpenAI's API, text that may be the beginning of a stop string waits for what comes next.
    """

    def __init__(self, stop_strings: Sequence[str], *, keep: bool) -> None:
        self._searches = [_Search(stop) for stop in stop_strings]
        self._keep = keep
        self._held = ""
        self.has_hit = False

    def add(self, piece: str) -> str:
        """Take the next piece; return what can be released."""
        if not self._searches:
            return piece
        text = self._held + piece
        for end, character in enumerate(piece, start=len(self._held) + 1):
            completed = [search.length for search in self._searches if search.add(character)]
            if completed:
                self.has_hit = True
                self._held = ""
                return text[: end if self._keep else end - max(completed)]
        waiting = 0 if self._keep else max(search.matched for search in self._searches)
        self._held = text[len(text) - waiting :]
        return text[: len(text) - waiting]

    def flush(self) -> str:
        """Return what still waited, at the end of the text; what follows is another text."""
        held, self._held = self._held, ""
        for search in self._searches:
            search.matched = 0
        return held


class _Search:
    """Knuth, Morris and Pratt's search: a bounded step for each character, however long the string."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._borders = _borders(wanted)
        self.length = len(wanted)
        self.matched = 0

    def add(self, character: str) -> bool:
        """Take the next character; return whether it completes the string."""
        while self.matched and self._wanted[self.matched] != character:
            self.matched = self._borders[self.matched - 1]
        if self._wanted[self.matched] == character:
            self.matched += 1
        return self.matched == self.length


def _borders(text: str) -> list[int]:
    """For each prefix, how long the longest shorter prefix is that also ends it."""
    borders = [0] * len(text)
    length = 0
    for index in range(1, len(text)):
        while length and text[index] != text[length]:
            length = borders[length - 1]
        if text[index] == text[length]:
            length += 1
        borders[index] = length
    return borders

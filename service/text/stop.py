"""Finds stop strings in text that comes in pieces."""

from collections.abc import Sequence


class StopMatcher:
    """Remembers just enough of the text to find a stop string split over any number of pieces."""

    def __init__(self, stop_strings: Sequence[str]) -> None:
        self._stop_strings = stop_strings
        self._longest = max((len(stop) for stop in stop_strings), default=0)
        self._tail = ""

    def end_in(self, piece: str) -> int | None:
        """Take the next piece; return how much of it belongs to the text up to the first stop string's end.

        None while no stop string is complete. The stop string itself counts as part of the text, as in TGI.
        """
        if not self._longest or not piece:
            return None
        window = self._tail + piece
        ends = [start + len(stop) for stop in self._stop_strings if (start := window.find(stop)) >= 0]
        if ends:
            return min(ends) - len(self._tail)
        self._tail = window[-(self._longest - 1) :] if self._longest > 1 else ""
        return None

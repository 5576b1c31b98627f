"""Counts server-sent events without parsing them."""

from itertools import islice

_EVENT_END = b"\n\n"
_DATA = b"data:"


class EventCounter:
    """Counts whole events in a stream that comes in pieces; keeps only the last one, or all of them.

    JSON escapes line ends, so an empty line is the end of an event, wherever the pieces are cut.
    `events` are the whole events as they came, when they are kept.
    """

    def __init__(self, *, keeps_all: bool = False) -> None:
        self._rest = b""
        self._last = b""
        self._keeps_all = keeps_all
        self.events: list[bytes] = []

    @property
    def last(self) -> bytes:
        """The data of the last whole event; empty before the first."""
        return self._last.strip().removeprefix(_DATA).strip()

    @property
    def has_rest(self) -> bool:
        """Whether an event has begun that has not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> int:
        """Take a piece; return how many events it ended."""
        buffer = self._rest + data if self._rest else data
        count = buffer.count(_EVENT_END)
        if count:
            if self._keeps_all:
                self.events.extend(islice(buffer.split(_EVENT_END), count))
            end = buffer.rfind(_EVENT_END)
            start = buffer.rfind(_EVENT_END, 0, end)
            self._last = buffer[start + len(_EVENT_END) : end] if start >= 0 else buffer[:end]
            buffer = buffer[end + len(_EVENT_END) :]
        self._rest = buffer
        return count

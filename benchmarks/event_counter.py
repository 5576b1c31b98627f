"""Counts server-sent events without parsing them."""

from itertools import islice

_EVENT_END = b"\n\n"
_DATA = b"data:"
_DONE = b"[DONE]"


class EventCounter:
    """Counts whole events in a stream that comes in pieces; keeps only the last one, or all of them.

    OpenAI's `[DONE]` is never the last one: the event before it says how the stream ended. JSON escapes line
    ends, so an empty line is the end of an event, wherever the pieces are cut. `events` are the whole events
    as they came, when they are kept.
    """

    def __init__(self, *, keeps_all: bool = False) -> None:
        self._rest = b""
        self._last = b""
        self._keeps_all = keeps_all
        self.events: list[bytes] = []

    @property
    def last(self) -> bytes:
        """The data of the last whole event but `[DONE]`; empty before the first."""
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
            self._keep_last(buffer, end)
            buffer = buffer[end + len(_EVENT_END) :]
        self._rest = buffer
        return count

    def _keep_last(self, buffer: bytes, end: int) -> None:
        """Keep the event that ends there, or of a piece that holds more, the one before `[DONE]`."""
        while end >= 0:
            start = buffer.rfind(_EVENT_END, 0, end)
            event = buffer[start + len(_EVENT_END) : end] if start >= 0 else buffer[:end]
            if event.removeprefix(_DATA).strip() != _DONE:
                self._last = event
                return
            end = start

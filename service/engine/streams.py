"""The open requests of one engine, each with the events that wait to be read."""

import asyncio
from collections.abc import Sequence

from service.engine.protocol import Done, EngineEvent, Failed
from service.errors import EngineError, TiberError, UnavailableError

_FULL_RETRY_AFTER_S = 1.0


class OpenStream:
    """Events of one request on their way to its one reader.

    It needs no bound of its own: a request gets at most its `max_new_tokens` events.
    """

    def __init__(self) -> None:
        self._events: list[EngineEvent] = []
        self._error: TiberError | None = None
        self._reader: asyncio.Future[None] | None = None
        self.has_ended = False
        # Until it ends there or is cancelled.
        self.is_with_engine = True

    def push(self, event: EngineEvent) -> None:
        """Add an event; what comes after the end is dropped."""
        is_last = isinstance(event, Done | Failed)
        if is_last:
            self.is_with_engine = False
        if self.has_ended:
            return
        if isinstance(event, Failed):
            self.fail(_error_of(event))
            return
        self._events.append(event)
        self.has_ended = is_last
        self._wake()

    def fail(self, error: TiberError) -> None:
        """End the stream with an error, which the reader gets after the events before it."""
        if not self.has_ended:
            self.has_ended = True
            self._error = error
            self._wake()

    @property
    def has_unread(self) -> bool:
        """Whether events, or the error at the end, still wait to be read."""
        return bool(self._events) or self._error is not None

    async def next_events(self) -> Sequence[EngineEvent]:
        """Wait for events; return all there are. Raises: the error that ended the stream."""
        if not self.has_unread:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if not self._events and self._error is not None:
            raise self._error
        events, self._events = self._events, []
        return events

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class OpenStreams:
    """All open streams of one engine by request id."""

    def __init__(self) -> None:
        self._streams: dict[int, OpenStream] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def has_unfinished(self) -> bool:
        """Whether any stream waits for more."""
        return any(not stream.has_ended for stream in self._streams.values())

    def open(self) -> tuple[int, OpenStream]:
        """Open a stream under an id never used before: a live id used again makes the engine raise."""
        self._last_id += 1
        stream = self._streams[self._last_id] = OpenStream()
        return self._last_id, stream

    def close(self, request_id: int) -> None:
        """Forget a stream."""
        self._streams.pop(request_id, None)

    def dispatch(self, events: Sequence[EngineEvent]) -> None:
        """Give each event to its stream; events of closed streams are dropped."""
        for event in events:
            stream = self._streams.get(event.request_id)
            if stream is not None:
                stream.push(event)

    def fail_all(self, message: str, *, retry_after_s: float) -> int:
        """End every stream that has not ended; return how many those were."""
        unfinished = [stream for stream in self._streams.values() if not stream.has_ended]
        for stream in unfinished:
            stream.fail(UnavailableError(message, retry_after_s=retry_after_s))
        return len(unfinished)


def _error_of(event: Failed) -> TiberError:
    if event.retryable:
        return UnavailableError(event.message, retry_after_s=_FULL_RETRY_AFTER_S)
    return EngineError(event.message)

"""The open requests of one engine, each with the one who is told of its events."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from service.engine.protocol import Deliver, Done, EngineEvent, Failed
from service.errors import EngineError, TiberError, UnavailableError

_FULL_RETRY_AFTER_S = 1.0
_request_id = attrgetter("request_id")


class OpenStream:
    """Tells of one request's events as they come, without a task in between."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        # Done after the last event, or with the error that ended the request.
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Until it ends there or is cancelled.
        self.is_with_engine = True

    def push(self, events: Sequence[EngineEvent]) -> None:
        """Tell of events, one at least; what comes after the end is dropped."""
        last = events[-1]
        is_last = isinstance(last, Done | Failed)
        if is_last:
            self.is_with_engine = False
        if self.ended.done():
            return
        failed = last if isinstance(last, Failed) else None
        told = events[:-1] if failed else events
        try:
            wants_more = not told or self._deliver(told)
        except Exception as error:  # noqa: BLE001 - who is told may break, but breaks nothing for others
            self.fail(error)
            return
        if failed:
            self.fail(_error_of(failed))
        elif is_last or not wants_more:
            self.ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the stream with an error."""
        if not self.ended.done():
            self.ended.set_exception(error)


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
        return any(not stream.ended.done() for stream in self._streams.values())

    def open(self, deliver: Deliver) -> tuple[int, OpenStream]:
        """Open a stream under an id never used before: a live id used again makes the engine raise."""
        self._last_id += 1
        stream = self._streams[self._last_id] = OpenStream(deliver)
        return self._last_id, stream

    def close(self, request_id: int) -> None:
        """Forget a stream."""
        self._streams.pop(request_id, None)

    def dispatch(self, events: Sequence[EngineEvent]) -> None:
        """Tell each stream of its events; those of closed streams are dropped."""
        for request_id, own in groupby(events, _request_id):
            stream = self._streams.get(request_id)
            if stream is not None:
                stream.push(list(own))

    def fail_all(self, message: str, *, retry_after_s: float) -> int:
        """End every stream that has not ended; return how many those were."""
        unfinished = [stream for stream in self._streams.values() if not stream.ended.done()]
        for stream in unfinished:
            stream.fail(UnavailableError(message, retry_after_s=retry_after_s))
        return len(unfinished)


def _error_of(event: Failed) -> TiberError:
    if event.retryable:
        return UnavailableError(event.message, retry_after_s=_FULL_RETRY_AFTER_S)
    return EngineError(event.message)

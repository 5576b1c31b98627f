"""A load client that costs little CPU: it shares the machine with what it measures."""

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from benchmarks.event_counter import EventCounter
from benchmarks.http_reader import ResponseReader

# No event ends like this, but the last chunk does.
_ANSWER_END = b"\r\n\r\n"
# More than any answer: the kernel then wakes us when the server has hung up.
_WHOLE_ANSWER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server, and the token it knows us by; empty where it asks for none."""

    host: str
    port: int
    token: str

    @classmethod
    def from_url(cls, url: str, token: str) -> "Target":
        """Take `http://HOST:PORT` apart. Raises: BenchmarkError for anything else."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
            raise BenchmarkError(f"not a server's address: {url!r}; allowed: http://HOST:PORT")
        return cls(host=parts.hostname, port=parts.port or 80, token=token)

    def request(self, method: str, path: str, body: bytes = b"", *, is_last: bool = False) -> bytes:
        """The bytes of a request; after the `is_last` one the server closes the connection."""
        authorization = f"authorization: Bearer {self.token}\r\n" if self.token else ""
        connection = "connection: close\r\n" if is_last else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{authorization}{connection}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class TransportFailure(StrEnum):
    """Why a response did not arrive whole."""

    LOST = "connection lost"
    TIMEOUT = "timeout"
    MALFORMED = "malformed stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one request got; times are seconds of the system's monotonic clock.

    `event_times_s` has one entry for each event that arrived whole. `content` is the last event's data,
    or the body where the answer is no stream. `failure` says why the response did not arrive whole;
    of which kind it is, stands in `failure_kind`; `is_hung` when it is because the time was up. `has_begun`
    when a byte came. `events` and `headers` are there when they were asked for. `was_retried` when it is a
    second attempt, after a connection that the server had closed.
    """

    status: int | None
    sent_s: float
    ended_s: float
    event_times_s: list[float]
    content: bytes
    failure: str | None = None
    is_hung: bool = False
    failure_kind: TransportFailure | None = None
    has_begun: bool = False
    events: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    was_retried: bool = False

    @property
    def is_unread(self) -> bool:
        """Whether the server hung up without a byte, as it may between two requests (RFC 9112, 9.3.1)."""
        return self.failure_kind is TransportFailure.LOST and not self.has_begun


class _Exchange:
    """One request on its way, and what has come back of its response."""

    def __init__(self, on_first_event: Callable[[], None] | None, *, keeps_events: bool) -> None:
        self._reader = ResponseReader()
        self._events = EventCounter(keeps_all=keeps_events)
        self._keeps_events = keeps_events
        self._kind: TransportFailure | None = None
        self._body = bytearray()
        self._unread: list[tuple[float, bytes]] = []
        self._has_begun = False
        self._times_s: list[float] = []
        self._on_first_event = on_first_event
        self._sent_s = time.monotonic()
        self._done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def feed(self, data: bytes) -> None:
        self._has_begun = True
        self._unread.append((time.monotonic(), data))
        # Reading each piece at once would take the server's time: after the first event, the end is enough.
        if not self._times_s or len(data) < len(_ANSWER_END) or data.endswith(_ANSWER_END):
            self._read()

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        try:
            for came_s, data in unread:
                self._take(self._reader.feed(data), came_s)
        except BenchmarkError as error:
            self.end(error.message, TransportFailure.MALFORMED)
            return
        if self._reader.is_complete:
            self._end_whole()

    def _take(self, body: bytes, came_s: float) -> None:
        if self._is_stream:
            self._count(self._events.feed(body), came_s)
        else:
            self._body += body

    def end(self, failure: str | None, kind: TransportFailure | None = None) -> None:
        if not self._done.done():
            self._kind = kind
            self._done.set_result(failure)

    async def reply(self, timeout_s: float) -> Reply:
        is_hung = False
        try:
            async with asyncio.timeout(timeout_s):
                failure = await self._done
        except TimeoutError:
            is_hung, self._kind = True, TransportFailure.TIMEOUT
            failure = f"no whole answer within {timeout_s:g} s"
        self._read()
        return Reply(
            status=self._reader.status,
            sent_s=self._sent_s,
            ended_s=time.monotonic(),
            event_times_s=self._times_s,
            content=self._events.last if self._is_stream else bytes(self._body),
            failure=failure,
            is_hung=is_hung,
            failure_kind=self._kind,
            has_begun=self._has_begun,
            events=self._events.events,
            headers=self._reader.headers if self._keeps_events else {},
        )

    @property
    def _is_stream(self) -> bool:
        return self._reader.headers.get("content-type", "").startswith("text/event-stream")

    def _end_whole(self) -> None:
        if self._events.has_rest:
            self.end("the stream ended inside an event", TransportFailure.MALFORMED)
        else:
            self.end(None)

    def _count(self, ended: int, came_s: float) -> None:
        if ended and not self._times_s and self._on_first_event is not None:
            self._on_first_event()
        self._times_s += [came_s] * ended


class Connection(asyncio.Protocol):
    """One keep-alive connection that carries one exchange at a time; made by `Connection.open`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._exchange: _Exchange | None = None

    @classmethod
    async def open(cls, target: Target) -> "Connection":
        """Connect. Raises: BenchmarkError when nobody listens."""
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, target.host, target.port)
        except OSError as error:
            raise BenchmarkError(f"can't connect to {target.host}:{target.port}: {error.strerror}") from error
        return connection

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def send(
        self,
        request: bytes,
        *,
        timeout_s: float,
        on_first_event: Callable[[], None] | None = None,
        keeps_events: bool = False,
    ) -> Reply:
        """Send a request; wait for the end of its response. Failures are in the reply, never raised."""
        exchange = self._exchange = _Exchange(on_first_event, keeps_events=keeps_events)
        if self._transport is None or self._transport.is_closing():
            exchange.end("the connection is closed", TransportFailure.LOST)
        else:
            self._transport.write(request)
        reply = await exchange.reply(timeout_s)
        if reply.failure is not None:
            # What still comes would be taken for the next request's.
            self.close()
        return reply

    def sleep_until_the_end(self) -> None:
        """Be woken by nothing but the server's closing, after which all that came is read at once."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVLOWAT, _WHOLE_ANSWER_BYTES
            )

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # A stream protocol gets no other; uvloop's is no subclass.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on to the open exchange."""
        if self._exchange is not None:
            self._exchange.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the open exchange."""
        if self._exchange is not None:
            reason = f"the connection was lost: {exc or 'closed by the server'}"
            self._exchange.end(reason, TransportFailure.LOST)


async def open_connections(target: Target, count: int) -> list[Connection]:
    """Open that many connections. Raises: BenchmarkError when one can't be."""
    connections: list[Connection] = []
    try:
        while len(connections) < count:
            connections.append(await Connection.open(target))
    except BenchmarkError:
        for connection in connections:
            connection.close()
        raise
    return connections

"""One HTTP connection: uvicorn's, with bounds on what its client may take."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
import structlog
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.body_writer import body_extension
from service.api.connection_room import Room
from service.api.refusal import (
    ENDING,
    FAILED,
    MALFORMED,
    NO_ROOM,
    SLOW_BODY,
    SLOW_HEADERS,
    TOO_MANY_PIPELINED,
    Refusal,
    RefusedError,
    headers_too_large,
)
from service.settings import LimitSettings

_log = structlog.get_logger("http")

_MAX_HEADERS = 100
# Those behind the one that is being answered. Hardly any client sends a second.
_MAX_PIPELINED = 16
# Chunk sizes, extensions and trailers may take so many times the bytes of the body they frame.
_MAX_FRAMING_RATIO = 8
# How long a closing connection may make no progress.
_CLOSE_S = 5.0
# How long a refused client may read its answer: closing at once, with its bytes unread, would reset it.
_LINGER_S = 1.0
_VERSIONS = ("1.1", "1.0")
# Where Linux tells the bytes that the peer has acknowledged: tcpi_bytes_acked in struct tcp_info.
_BYTES_ACKED = struct.Struct("120xQ")


class _Reading(Enum):
    """What the client is sending."""

    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection may take."""

    given: LimitSettings
    keep_alive_s: float


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, which by itself waits for ever for a slow client and reads heads of any size.

    `look`, called about once a second, ends what takes too long: no timer is made for a request.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        limits: ConnectionLimits,
        room: Room,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits = limits.given
        self._keep_alive_s = limits.keep_alive_s
        self._room = room
        self._running: RequestResponseCycle | None = None
        self._last_words: Refusal | None = None
        self._reading = _Reading.HEAD
        # When what is being read began; for a connection at rest, when it came to rest.
        self._since_s = 0.0
        # Blank lines before a request are none of it.
        self._has_begun = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._bytes_acked = -1
        self._stalled_since_s = 0.0
        self._renew_parser()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, if there is room."""
        super().connection_made(transport)  # type: ignore[arg-type]  # as theirs
        self._since_s = self.loop.time()
        if not self._room.admit(self, open_connections=len(self.connections)):
            self._room.ended[NO_ROOM.reason] += 1
            self._reading = _Reading.DISCARDED
            self.transport.write(NO_ROOM.encode(self.server_state.default_headers))
            # At once: these have no place to linger in.
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, too: uvicorn tells the last one that was read."""
        self._room.leave(self)
        self.pipeline.clear()
        if self._running is not None:
            _disconnect(self._running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._reading is _Reading.DISCARDED:
            return
        if self._reading is _Reading.NOTHING:
            self._begin(_Reading.HEAD)
        if self._reading is _Reading.HEAD:
            self._head_bytes += len(data)
        body_bytes = self._body_bytes
        was_body = self._reading is _Reading.BODY
        try:
            self._parse(data)
        except RefusedError as error:
            self._refuse(error.refusal)
            return
        if self._reading is _Reading.HEAD and self._head_bytes > self._limits.max_header_bytes:
            self._refuse(headers_too_large(self._limits.max_header_bytes, _MAX_HEADERS))
        elif was_body and self._reading is _Reading.BODY:
            self._framing_bytes += len(data) - (self._body_bytes - body_bytes)
            if self._framing_bytes > self._limits.max_header_bytes + _MAX_FRAMING_RATIO * self._body_bytes:
                self._refuse(MALFORMED)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # No protocol is offered to upgrade to, and the parser takes no body after such a head: it is
                # read as though it had not asked (RFC 9110, 7.8). Java's client asks by default.
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
                self._renew_parser()
                continue
            except httptools.HttpParserError as error:
                cause = error.__context__
                raise cause if isinstance(cause, RefusedError) else RefusedError(MALFORMED) from error
            return

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin with a head."""
        if self._reading is not _Reading.HEAD:
            self._begin(_Reading.HEAD)
        self._has_begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but no trailer: those that came before the body are what was checked."""
        if self._reading is _Reading.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer. Raises: RefusedError."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RefusedError(MALFORMED)
            return
        self._check_head()
        # First, since it may find that the URL is none.
        super().on_headers_complete()
        self._begin(_Reading.BODY)
        self._room.leave(self)

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.max_header_bytes or len(self.headers) > _MAX_HEADERS:
            raise RefusedError(headers_too_large(self._limits.max_header_bytes, _MAX_HEADERS))
        if self.parser.get_http_version() not in _VERSIONS:
            raise RefusedError(MALFORMED)
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise RefusedError(TOO_MANY_PIPELINED)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Rest, until the next message."""
        if not self.parser.should_upgrade():
            self._begin(_Reading.NOTHING)
            super().on_message_complete()

    def _begin(self, reading: _Reading) -> None:
        self._reading = reading
        self._since_s = self.loop.time()
        self._head_bytes = self._body_bytes = self._framing_bytes = 0
        self._has_begun = False

    # What answers.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        task = self.loop.create_task(self._answer(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.scope["extensions"] = body_extension(cycle)
        try:
            await app(cycle.scope, cycle.receive, cycle.send)
        except asyncio.CancelledError:
            self._break_off(cycle, ENDING)
            raise
        except Exception:  # noqa: BLE001 - the request's outermost border
            _log.exception("request_failed", path=cycle.scope["path"])
            self._break_off(cycle, FAILED)
        else:
            if not cycle.response_complete and not cycle.disconnected:
                self._break_off(cycle, FAILED)
        finally:
            # These refer to each other.
            cycle.on_response = _nothing
            cycle.scope.pop("extensions")

    def _break_off(self, cycle: RequestResponseCycle, refusal: Refusal) -> None:
        """End an answer that will not be whole."""
        self.pipeline.clear()
        if cycle.response_started:
            self.transport.close()
        elif not self.transport.is_closing():
            _disconnect(cycle)
            self._say(refusal)

    def on_response_complete(self) -> None:
        """Answer the next request that is here already, else rest."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_words is not None:
            self._say(self._last_words)
        else:
            if self._reading is not _Reading.HEAD:
                self._begin(self._reading)
            self._room.wait(self)

    # What refuses.

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more; tell why after the answers that are due."""
        self._room.ended[refusal.reason] += 1
        cut = self.cycle if self._reading is _Reading.BODY else None
        self._begin(_Reading.DISCARDED)
        if cut is not None:
            if self.pipeline and self.pipeline[0][0] is cut:
                self.pipeline.popleft()
            _disconnect(cut)
            if cut.response_started:
                # Nothing can be told in the middle of an answer, nor need be after one.
                self.transport.abort()
                return
        running = self._running
        if running is None or running is cut or running.response_complete:
            self._say(refusal)
        else:
            self._last_words = refusal

    def _say(self, refusal: Refusal) -> None:
        """Write the last answer of this connection; `look` closes it."""
        self._begin(_Reading.DISCARDED)
        self._room.wait(self)
        self.transport.write(refusal.encode(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def send_400_response(self, msg: str) -> None:
        """Uvicorn's own refusal, in our words."""
        self._refuse(MALFORMED)

    def give_way(self) -> None:
        """Close for another connection."""
        self.transport.close()

    def shutdown(self) -> None:
        """Close when the answer is sent; at once where there is none, or where its request is not whole."""
        if self._running is None or self._running.response_complete:
            self.transport.close()
        elif self._reading is _Reading.BODY and self._running is self.cycle:
            self._refuse(ENDING)
            self.transport.close()
        else:
            self._running.keep_alive = self.cycle.keep_alive = False

    # What a look ends.

    def look(self, now_s: float) -> None:
        """End what takes too long."""
        is_closing = self.transport.is_closing()
        if self.transport.get_write_buffer_size():
            if self._is_stalled(now_s, _CLOSE_S if is_closing else self._limits.send_timeout_s):
                self._room.ended["slow_reader"] += 1
                self.transport.abort()
        elif is_closing:
            # Under TLS there may be bytes below; and a peer that never says goodbye would stay for ever.
            if self._is_stalled(now_s, _CLOSE_S):
                self.transport.abort()
        elif self.flow.read_paused:
            # It waits for us.
            self._since_s = now_s
        else:
            self._look_at_reading(now_s - self._since_s)
        if not is_closing and not self.transport.get_write_buffer_size():
            self._bytes_acked = -1

    def _is_stalled(self, now_s: float, limit_s: float) -> bool:
        acked = self._read_bytes_acked()
        if acked != self._bytes_acked:
            self._bytes_acked = acked
            self._stalled_since_s = now_s
        return now_s - self._stalled_since_s > limit_s

    def _read_bytes_acked(self) -> int:
        connection = self.transport.get_extra_info("socket")
        if connection is None:  # closed below TLS already
            return self._bytes_acked
        try:
            found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        except OSError:
            return self._bytes_acked
        acked: int = _BYTES_ACKED.unpack(found)[0]
        return acked

    def _look_at_reading(self, elapsed_s: float) -> None:
        if self._reading is _Reading.HEAD:
            if elapsed_s > self._limits.header_timeout_s:
                self._end_slow_head()
        elif self._reading is _Reading.BODY:
            if elapsed_s > self._body_limit_s():
                self._refuse(SLOW_BODY)
        elif self._reading is _Reading.DISCARDED:
            if elapsed_s > _LINGER_S and self._last_words is None:
                self.transport.close()
        elif self._is_at_rest() and elapsed_s > self._keep_alive_s:
            self.transport.close()

    def _end_slow_head(self) -> None:
        if self._has_begun:
            self._refuse(SLOW_HEADERS)
        elif self._is_at_rest():
            # Opened and never used: an answer would be taken for the next request's.
            self._room.ended["unused"] += 1
            self.transport.close()

    def _body_limit_s(self) -> float:
        if self.cycle.response_complete:
            return self._limits.body_timeout_s
        return self._limits.body_timeout_s + self._body_bytes / self._limits.body_bytes_per_s

    def _is_at_rest(self) -> bool:
        return self._running is None or self._running.response_complete


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the application that nobody is there to read its answer."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def _nothing() -> None:
    """For an answer that is over."""

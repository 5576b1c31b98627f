"""Reads each body within its bounds before anything else happens with it."""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.buffered_bytes import BufferedBytes, Share
from service.api.json_bounds import JSONBounds
from service.api.responses import error_response
from service.errors import TiberError, TooLargeError, ValidationError
from service.settings import LimitSettings

# How long a refused body is read on, so that its sender gets to see the answer.
_DISCARD_S = 2.0
# Nothing but a POST has a body that counts, and some of the others need no token.
_MOST_UNUSED_BYTES = 2**16


class BodyLimit:
    """Reads each body within its bounds: bytes, bytes of all bodies together, depth and values of JSON."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, limits: LimitSettings) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._limits = limits
        self._buffered = BufferedBytes(max_bytes=limits.max_buffered_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arriving = _Arriving(receive)
        refusal: TiberError | None = None
        body: bytes | None = None
        with self._buffered.share() as share:
            try:
                body = await self._read(scope, arriving, share)
            except TiberError as error:
                refusal = error
            if body is not None:
                await self._app(scope, _replayed(body, receive), send)
        if refusal is not None:
            await _refuse(refusal, scope, arriving, send)

    async def _read(self, scope: Scope, arriving: "_Arriving", share: Share) -> bytes | None:
        """Read the whole body; None when the client left meanwhile."""
        declared = _declared_by(scope)
        max_bytes = self._max_bytes if scope["method"] == "POST" else _MOST_UNUSED_BYTES
        if declared.length > max_bytes:
            raise _too_large(max_bytes)
        self._buffered.check_room(declared.length)
        bounds = self._json_bounds() if declared.is_json else None
        body = bytearray()
        while (chunk := await arriving.next()) is not None:
            is_whole = not (body or arriving.has_more)
            if len(body) + len(chunk) > max_bytes:
                raise _too_large(max_bytes)
            share.add(len(chunk))
            if bounds and not (is_whole and bounds.clearly_hold_for(chunk)):
                bounds.feed(chunk)
            if is_whole:
                return chunk
            body += chunk
            if not arriving.has_more:
                return bytes(body)
        return None

    def _json_bounds(self) -> JSONBounds:
        return JSONBounds(max_depth=self._limits.max_json_depth, max_values=self._limits.max_json_values)


class _Arriving:
    """A body as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.has_more = True

    async def next(self) -> bytes | None:
        """The next bytes; None when the client has left."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            self.has_more = False
            return None
        self.has_more = message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    async def discard(self) -> None:
        """Read what is left, for a while."""
        try:
            async with asyncio.timeout(_DISCARD_S):
                while self.has_more:
                    await self.next()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What the headers say of the body; `length` is 0 where they say none."""

    length: int
    is_json: bool


def _declared_by(scope: Scope) -> _Declared:
    """Read the headers.

    Raises:
        ValidationError: the body is compressed: a small one could become a huge one.
    """
    length, is_json = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # Nobody's memory is of more digits, and Python refuses to read some thousands of them.
            length = int(value[:20])
        elif name == b"content-type":
            # Of two, the framework may heed the other one.
            is_json = is_json or b"json" in value.lower()
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise ValidationError(
                f"`Content-Encoding: {value.decode('latin-1')}` is not supported: send the body as it is"
            )
    return _Declared(length=length, is_json=is_json)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What gives the body that was read, then what comes after it."""
    is_replayed = False

    async def replay() -> Message:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse_unread(error: TiberError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request of whose body nothing was read."""
    arriving = _Arriving(receive)
    # A connection that stays discards what comes by itself.
    arriving.has_more = _ends_with_the_answer(scope) and _has_body(scope)
    await _refuse(error, scope, arriving, send)


def _ends_with_the_answer(scope: Scope) -> bool:
    connection = Headers(scope=scope).get("connection", "").lower()
    return "close" in connection or scope.get("http_version") == "1.0"


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _refuse(error: TiberError, scope: Scope, arriving: _Arriving, send: Send) -> None:
    async def discard_then_send(message: Message) -> None:
        # Closing a connection with unread bytes resets it, and the client never sees the answer.
        if message["type"] == "http.response.body" and arriving.has_more:
            await send({**message, "more_body": True})
            await arriving.discard()
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    response = error_response(error, scope["path"])
    if arriving.has_more:
        response.headers["connection"] = "close"
    await response(scope, arriving.receive, discard_then_send)


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(f"the body must have at most {max_bytes} bytes")

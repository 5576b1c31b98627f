"""Reads each body up to a limit before anything else happens with it."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.responses import error_response
from service.errors import TiberError, TooLargeError

# How long a body over the limit is read on, so that its sender gets to see the answer.
_DISCARD_S = 2.0


class BodyLimit:
    """Reads each body up to a limit before anything else happens with it."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except TooLargeError as error:
            await self._refuse(error, scope, receive, send)
            return
        if body is None:
            return
        is_replayed = False

        async def replay() -> Message:
            nonlocal is_replayed
            if is_replayed:
                return await receive()
            is_replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read the whole body; None when the client left meanwhile."""
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    async def _refuse(self, error: TiberError, scope: Scope, receive: Receive, send: Send) -> None:
        async def discard_then_send(message: Message) -> None:
            # Closing a connection with unread bytes resets it, and the client never sees the answer.
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await _discard(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        response = error_response(error, scope["path"])
        response.headers["connection"] = "close"
        await response(scope, receive, discard_then_send)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"the body must have at most {self._max_bytes} bytes")


async def _discard(receive: Receive) -> None:
    try:
        async with asyncio.timeout(_DISCARD_S):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        return

"""JSON and event-stream responses, encoded with msgspec."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api import errors as table
from service.api.disconnect import ClientGoneError, run_while_connected
from service.errors import TiberError, ValidationError

_log = structlog.get_logger("http")


class JSONResponse(Response):
    """A JSON body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
        """Encode; done here because msgspec is several times faster than the framework's encoder."""
        return msgspec.json.encode(content)


class EventStreamResponse(Response):
    """Server-sent events; the generators behind it are closed at once when the client leaves.

    `frames` reads from `source`. A client that has not read it all in `limit_s` seconds is cut off: it would
    keep its place for ever.
    """

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        source: AsyncGenerator[Any, None],
        headers: dict[str, str],
        *,
        limit_s: float,
    ) -> None:
        super().__init__(headers={**headers, "x-accel-buffering": "no", "cache-control": "no-cache"})
        del self.headers["content-length"]
        self.headers["content-type"] = "text/event-stream; charset=utf-8"
        self._frames = frames
        self._source = source
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames.

        Not the framework's own way: its cancellation strikes again while generators clean up after the first.
        """
        try:
            await run_while_connected(receive, self._send(send))
        except ClientGoneError:
            pass
        finally:
            await self._frames.aclose()
            # Closing a generator that never ran doesn't reach what it reads from.
            await self._source.aclose()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        try:
            async with asyncio.timeout(self._limit_s):
                async for frames in self._frames:
                    await send({"type": "http.response.body", "body": frames, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The answer stays unfinished, for which the server closes the connection.
            _log.warning("slow_reader_cut_off", limit_s=self._limit_s)


def error_response(error: TiberError, path: str) -> Response:
    """The answer to a request to `path` that failed before its first byte."""
    kind = table.kind_of(error)
    return Response(
        _encode_error(error, kind, path),
        status_code=kind.status,
        headers=table.headers_of(error),
        media_type="application/json",
    )


def error_frame(error: TiberError, path: str) -> bytes:
    """The event of a request to `path` that failed after its first byte."""
    return frame(_encode_error(error, table.kind_of(error), path))


def status_response(status: int, message: str, path: str, *, param: str | None = None) -> Response:
    """The answer to what the framework refused by itself."""
    kind = table.kind_of_status(status)
    content = table.encode_body(kind, message, path=path, param=param)
    return Response(content, status_code=kind.status, media_type="application/json")


def frame(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


def _encode_error(error: TiberError, kind: table.ErrorKind, path: str) -> bytes:
    param = error.param if isinstance(error, ValidationError) else None
    return table.encode_body(kind, _public_message(error, kind), path=path, param=param)


def _public_message(error: TiberError, kind: table.ErrorKind) -> str:
    return "internal error; the log has it under this request id" if kind is table.INTERNAL else error.message

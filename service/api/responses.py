"""JSON and event-stream responses, encoded with msgspec."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from service.api import errors as table
from service.errors import TiberError, ValidationError

_log = structlog.get_logger("http")


class JSONResponse(Response):
    """A JSON body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
        """Encode; done here because msgspec is several times faster than the framework's encoder."""
        return msgspec.json.encode(content)


class EventStreamResponse(StreamingResponse):
    """Server-sent events; the generator behind it is closed at once when the client leaves.

    A client that has not read it all in `limit_s` seconds is cut off: it would keep its place for ever.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[bytes, None], headers: dict[str, str], *, limit_s: float
    ) -> None:
        super().__init__(frames, headers={**headers, "x-accel-buffering": "no", "cache-control": "no-cache"})
        self._frames = frames
        self._limit_s = limit_s

    async def stream_response(self, send: Send) -> None:
        """Send the frames."""
        async with aclosing(self._frames):
            try:
                async with asyncio.timeout(self._limit_s):
                    await super().stream_response(send)
            except TimeoutError:
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

"""JSON answers, errors, and the frames of event streams, encoded with msgspec."""

from typing import Any

import msgspec
from starlette.responses import Response

from service.api import errors as table
from service.errors import TiberError, ValidationError

# The last event of OpenAI's streams.
DONE = b"data: [DONE]\n\n"


class JSONResponse(Response):
    """A JSON body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
        """Encode; done here because msgspec is several times faster than the framework's encoder."""
        return msgspec.json.encode(content)


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

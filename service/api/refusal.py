"""Answers to requests that never reach the application, in the shape of all our errors."""

from dataclasses import dataclass
from http import HTTPStatus

from service.api.errors import INTERNAL, ErrorKind, encode_body, kind_of, kind_of_status
from service.errors import SlowClientError, UnavailableError

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a connection is answered and closed; `reason` is the log's word for it."""

    reason: str
    kind: ErrorKind
    message: str
    retry_after_s: int | None = None

    def encode(self, headers: Headers) -> bytes:
        """The whole answer; `headers` are those of every answer."""
        # Which endpoint was meant is not known yet, so there is no `param`.
        body = encode_body(self.kind, self.message, path="")
        lines = [b"HTTP/1.1 %d %s" % (self.kind.status, HTTPStatus(self.kind.status).phrase.encode())]
        lines += [b"%s: %s" % header for header in headers]
        lines += [
            b"content-type: application/json",
            b"cache-control: no-store",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        if self.retry_after_s is not None:
            lines.append(b"retry-after: %d" % self.retry_after_s)
        return b"\r\n".join([*lines, b"", body])


class RefusedError(Exception):
    """Ends the parsing of a request that is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


_SLOW = kind_of(SlowClientError(""))
_UNAVAILABLE = kind_of(UnavailableError("", retry_after_s=1))
_MALFORMED = kind_of_status(400)

MALFORMED = Refusal(reason="malformed", kind=_MALFORMED, message="this is not a valid HTTP/1.1 request")
TOO_MANY_PIPELINED = Refusal(
    reason="too_many_pipelined",
    kind=_MALFORMED,
    message="too many requests were sent on one connection before their answers",
)
SLOW_HEADERS = Refusal(reason="slow_headers", kind=_SLOW, message="the request's headers came too slowly")
SLOW_BODY = Refusal(reason="slow_body", kind=_SLOW, message="the request's body came too slowly")
NO_ROOM = Refusal(
    reason="no_room",
    kind=_UNAVAILABLE,
    message="as many connections are busy as the service has; try again in a second",
    retry_after_s=1,
)
ENDING = Refusal(
    reason="ending", kind=_UNAVAILABLE, message="the service is ending; try again later", retry_after_s=1
)
FAILED = Refusal(reason="failed", kind=INTERNAL, message="internal error")


def headers_too_large(max_bytes: int, max_headers: int) -> Refusal:
    """What a request with too large a head is told."""
    return Refusal(
        reason="headers_too_large",
        kind=ErrorKind(status=431, type="too_large", tgi_type="validation"),
        message=f"the request line and the headers must have at most {max_bytes} bytes "
        f"and {max_headers} headers",
    )

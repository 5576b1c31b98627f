"""One table from our errors to HTTP: status, the seed's `type`, TGI's `error_type`."""

import math
from dataclasses import dataclass
from typing import overload

import msgspec

from service import errors

Headers = dict[str, str]

# A message may name what a client sent: a field, a path.
_MAX_MESSAGE_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorKind:
    """How one kind of error looks on the wire; `tgi_type` is the word TGI's clients know."""

    status: int
    type: str
    tgi_type: str


INTERNAL = ErrorKind(status=500, type="internal", tgi_type="generation")

_KINDS: dict[type[errors.TiberError], ErrorKind] = {
    errors.ValidationError: ErrorKind(status=400, type="validation", tgi_type="validation"),
    errors.UnauthorizedError: ErrorKind(status=401, type="unauthorized", tgi_type="unauthorized"),
    errors.BannedError: ErrorKind(status=403, type="banned", tgi_type="banned"),
    errors.ForbiddenError: ErrorKind(status=403, type="forbidden", tgi_type="forbidden"),
    errors.SlowClientError: ErrorKind(status=408, type="timeout", tgi_type="validation"),
    errors.NotFoundError: ErrorKind(status=404, type="not_found", tgi_type="not_found"),
    errors.TooLargeError: ErrorKind(status=413, type="too_large", tgi_type="validation"),
    errors.OverloadedError: ErrorKind(status=429, type="overloaded", tgi_type="overloaded"),
    errors.EngineError: INTERNAL,
    errors.UnavailableError: ErrorKind(status=503, type="unavailable", tgi_type="generation"),
    errors.DeadlineError: ErrorKind(status=504, type="timeout", tgi_type="incomplete_generation"),
}

# OpenAI's endpoints are below it.
_OPENAI_PREFIX = "/v1/"
# What the framework refuses by itself.
_FRAMEWORK_TYPES = {404: "not_found", 405: "method_not_allowed"}


def kind_of(error: errors.TiberError) -> ErrorKind:
    """Look the error up; one that belongs to no client is internal."""
    return _KINDS.get(type(error), INTERNAL)


def kind_of_status(status: int) -> ErrorKind:
    """How a status that the framework chose looks."""
    if status >= 500:
        return INTERNAL
    kind = _FRAMEWORK_TYPES.get(status, "validation")
    return ErrorKind(status=status if kind != "validation" else 400, type=kind, tgi_type=kind)


class ErrorDetail(msgspec.Struct, frozen=True):
    """What was wrong; `param` names the field, on OpenAI's endpoints only."""

    message: str
    type: str
    code: int
    param: str | msgspec.UnsetType | None = msgspec.UNSET


class ErrorBody(msgspec.Struct, frozen=True):
    """The seed's error object, with TGI's word beside it."""

    error: ErrorDetail
    error_type: str


def body(kind: ErrorKind, message: str, *, path: str, param: str | None = None) -> ErrorBody:
    """The body of an error that a request to `path` meets."""
    message = _cut(message)
    where = _cut(param) if path.startswith(_OPENAI_PREFIX) else msgspec.UNSET
    return ErrorBody(ErrorDetail(message, kind.type, kind.status, where), kind.tgi_type)


def encode_body(kind: ErrorKind, message: str, *, path: str, param: str | None = None) -> bytes:
    """The same as JSON."""
    return msgspec.json.encode(body(kind, message, path=path, param=param))


@overload
def _cut(text: str) -> str: ...
@overload
def _cut(text: None) -> None: ...
def _cut(text: str | None) -> str | None:
    """What a client sent, at a bearable length; characters that are none become question marks."""
    if text is None:
        return None
    shown = text[:_MAX_MESSAGE_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return shown if len(text) <= _MAX_MESSAGE_CHARACTERS else shown + "…"


def headers_of(error: errors.TiberError) -> Headers:
    """The headers that go with an error."""
    if isinstance(error, errors.RetryableError):
        return {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, errors.UnauthorizedError):
        return {"www-authenticate": "Bearer"}
    return {}

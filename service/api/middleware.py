"""Pure-ASGI middleware: request id with access log, authentication, body size."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import INTERNAL
from service.api.metrics import METRICS_PATH
from service.api.model_path import SCOPE_KEY
from service.api.public import is_probe, is_public
from service.api.responses import error_response, status_response
from service.errors import TiberError, TooLargeError

_log = structlog.get_logger("http")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# How long a body over the limit is read on, so that its sender gets to see the answer.
_DISCARD_S = 2.0

Check = Callable[..., Awaitable[Any]]


class AnswerObserver(Protocol):
    """Is told of each answer."""

    def answered(self, *, route: str | None, status: int, is_probe: bool) -> None:
        """An answer ended; `route` is the matched path template, None when refused before routing."""


class RequestContext:
    """Gives each request its id, logs its end, turns an escaped exception into a 500."""

    def __init__(self, app: ASGIApp, *, observer: AnswerObserver) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        started_s = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # noqa: BLE001 - the request's border: logged with its id, answered 500
            _log.exception("request_failed", path=scope["path"])
            if not status:
                await status_response(INTERNAL.status, "internal error", scope["path"])(
                    scope, receive, send_with_id
                )
        finally:
            if status:
                route = getattr(scope.get("route"), "path", None)
                self._observer.answered(route=route, status=status, is_probe=is_probe(scope["path"]))
            # Probes come every few seconds for ever: they would drown the rest.
            log = _log.debug if is_probe(scope["path"]) else _log.info
            log(
                "request",
                method=scope["method"],
                path=scope["path"],
                **({"model": scope[SCOPE_KEY]} if SCOPE_KEY in scope else {}),
                status=status,
                duration_ms=round(1000 * (time.monotonic() - started_s), 1),
            )
            structlog.contextvars.unbind_contextvars("request_id")


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class Authentication:
    """Lets only known tokens past, but for the public paths."""

    def __init__(self, app: ASGIApp, *, check: Check, guards_metrics: bool) -> None:
        self._app = app
        self._check = check
        self._guards_metrics = guards_metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._is_guarded(scope["method"], scope["path"]):
            headers = Headers(scope=scope)
            client = scope.get("client")
            try:
                await self._check(
                    authorization=headers.get("authorization"),
                    peer=client[0] if client else None,
                    forwarded_for=headers.getlist("x-forwarded-for"),
                )
            except TiberError as error:
                await error_response(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_guarded(self, method: str, path: str) -> bool:
        return not is_public(method, path) or (self._guards_metrics and path == METRICS_PATH)


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

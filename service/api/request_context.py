"""Gives each request its id; writes the access log: no query, no header, no body."""

import re
import secrets
import time
from typing import Protocol

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authentication import ADDRESS, IDENTITY
from service.api.errors import INTERNAL
from service.api.model_path import ANSWERING, SCOPE_KEY
from service.api.public import is_probe
from service.api.responses import status_response

_log = structlog.get_logger("http")
# Not what looks like a token: the id is logged, and told to others.
_REQUEST_ID = re.compile(r"(?!.*tsv_)[A-Za-z0-9._-]{1,64}")
_MAX_PATH = 256


class AnswerObserver(Protocol):
    """Is told of each answer."""

    def answered(self, *, route: str | None, status: int, is_probe: bool, is_known: bool) -> None:
        """An answer ended; `route` is the matched path template, None when refused before routing.

        `is_known`: a right token came with the request.
        """


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
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                # An answer is its asker's own; what may be kept, such as the playground's files, says so.
                headers.setdefault("cache-control", "no-store")
            await send(message)

        started_s = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # noqa: BLE001 - the request's border: logged with its id, answered 500
            _log.exception("request_failed", path=scope["path"][:_MAX_PATH])
            if not status:
                await status_response(INTERNAL.status, "internal error", scope["path"])(
                    scope, receive, send_with_id
                )
        finally:
            self._tell(scope, status, time.monotonic() - started_s)
            structlog.contextvars.unbind_contextvars("request_id")

    def _tell(self, scope: Scope, status: int, took_s: float) -> None:
        path, identity = scope["path"], scope.get(IDENTITY)
        is_asked_by_monitoring = is_probe(path)
        if status:
            self._observer.answered(
                route=getattr(scope.get("route"), "path", None),
                status=status,
                is_probe=is_asked_by_monitoring,
                is_known=identity is not None,
            )
        model = scope.get(ANSWERING) or scope.get(SCOPE_KEY)
        # Probes come every few seconds for ever: they would drown the rest.
        log = _log.debug if is_asked_by_monitoring else _log.info
        log(
            "request",
            method=scope["method"],
            path=path if len(path) <= _MAX_PATH else path[:_MAX_PATH] + "…",
            **({"model": model} if model else {}),
            status=status,
            duration_ms=round(1000 * took_s, 1),
            client=scope.get(ADDRESS),
            **({"token_id": identity.token_id} if identity is not None else {}),
        )


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

"""Gives each request its id; writes the access log."""

import re
import secrets
import time
from typing import Protocol

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import INTERNAL
from service.api.model_path import SCOPE_KEY
from service.api.public import is_probe
from service.api.responses import status_response

_log = structlog.get_logger("http")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


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

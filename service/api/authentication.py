"""Asks the guard before anything of a request is read."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.metrics import METRICS_PATH
from service.api.public import is_public
from service.api.responses import error_response
from service.errors import TiberError

Check = Callable[..., Awaitable[Any]]


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

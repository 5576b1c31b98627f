"""Makes each request part of the trace its client names."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class Tracing(Protocol):
    """What sends traces."""

    def continued(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """While in it, what begins belongs to the trace of these headers."""
        ...

    def stop(self) -> None:
        """Send what is left; this may block for seconds."""


class TraceContext:
    """Pure-ASGI middleware around `Tracing.continued`."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._tracing.continued(Headers(scope=scope)):
            await self._app(scope, receive, send)

"""Runs the application: drains on SIGTERM, ends at once on the second one and on Ctrl-C."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import structlog
import uvicorn

from service.api.app import create_app
from service.api.state import Service

_log = structlog.get_logger("server")
# How long connections get to take their last bytes.
_GRACE_S = 3
_KEEP_ALIVE_S = 75


class Server(uvicorn.Server):
    """Uvicorn with a drain in front of its own shutdown."""

    def __init__(self, service: Service, *, drain_timeout_s: float, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(service),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Uvicorn would believe any process of this machine; whom to believe is the guard's to say.
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._service = service
        self._drain_timeout_s = drain_timeout_s
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen; the models go on loading meanwhile."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._own(self._announce())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first SIGTERM; end at once on the next, and on Ctrl-C."""
        is_second = self._service.is_draining
        self._service.is_draining = True
        if self._loop is None:
            self.should_exit = True
        elif sig == signal.SIGINT or is_second:
            self._loop.call_soon_threadsafe(lambda: self._own(self._end()))
        else:
            self._loop.call_soon_threadsafe(lambda: self._own(self._drain()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what this server began; then uvicorn's own shutdown."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().shutdown(sockets)

    async def _announce(self) -> None:
        for model in self._service.models.values():
            await model.engine.wait_ready()
        # What is here now stays: no collection need look at it again, which would stop the event loop.
        gc.collect()
        gc.freeze()
        self._on_ready()

    async def _drain(self) -> None:
        models = self._service.models.values()
        for model in models:
            model.admission.start_draining()
        _log.info("draining", open_requests=sum(model.admission.inside for model in models))
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                for model in models:
                    await model.admission.wait_idle()
        except TimeoutError:
            _log.warning("drain_timed_out", open_requests=sum(model.admission.inside for model in models))
        await self._end()

    async def _end(self) -> None:
        for model in self._service.models.values():
            model.admission.start_draining()
            await model.stop()
        self.should_exit = True

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

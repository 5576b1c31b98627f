"""Runs the application: drains on SIGTERM, ends at once on the second one and on Ctrl-C."""

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn

from service.api.app import create_app
from service.api.connection import Connection, ConnectionLimits
from service.api.connection_room import Room
from service.api.connection_watch import watch_connections
from service.api.file_limit import raise_file_limit
from service.api.priority import give_way_to_engines
from service.api.security_headers import security_headers
from service.api.state import Service
from service.api.tls import read_certificates
from service.errors import ConfigError

_log = structlog.get_logger("server")
# How long connections get to take their last bytes.
_GRACE_S = 3
_KEEP_ALIVE_S = 75
_TLS_CLOSE_S = 600
_BACKLOG = 2048


class Server(uvicorn.Server):
    """Uvicorn with a drain in front of its own shutdown, and with connections that can't be held for ever."""

    def __init__(self, service: Service, *, drain_timeout_s: float) -> None:
        """Raises: ConfigError: the certificate or its key is wrong."""
        self._certificates = read_certificates(service.tls)
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Uvicorn would believe any process of this machine; whom to believe is the guard's to say.
                proxy_headers=False,
                headers=security_headers(is_tls=self._certificates is not None),
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._service = service
        self._room = Room(max_connections=service.limits.max_connections)
        self._drain_timeout_s = drain_timeout_s
        self._on_ready: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusal: ConfigError | None = None

    @property
    def scheme(self) -> str:
        """What its addresses begin with."""
        return "http" if self._certificates is None else "https"

    def run_on(self, listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
        """Serve until a signal; `on_ready` is called once every model is loaded.

        Raises:
            ConfigError: a model can't be loaded with its settings on this machine.
        """
        self._on_ready = on_ready
        raise_file_limit(self._service.limits.max_connections)
        give_way_to_engines()
        self.run(sockets=[listener])
        if self._refusal is not None:
            raise self._refusal

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen; the models go on loading meanwhile."""
        self._loop = asyncio.get_running_loop()
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(uvicorn.config.STARTUP_FAILURE)
        self.servers = [await self._listen(listener) for listener in sockets or ()]
        self.started = True
        # All of them are made by `_connection`.
        connections = cast("set[Connection]", self.server_state.connections)
        self._own(watch_connections(connections, self._room, self._service.limits))
        self._own(self._announce())

    async def _listen(self, listener: socket.socket) -> asyncio.Server:
        # Not uvicorn's way, which leaves a handshake a minute.
        limits = self._service.limits
        is_tls = self._certificates is not None
        return await asyncio.get_running_loop().create_server(
            self._connection(ConnectionLimits(given=limits, keep_alive_s=_KEEP_ALIVE_S)),
            sock=listener,
            backlog=_BACKLOG,
            ssl=self._certificates.context if self._certificates else None,
            ssl_handshake_timeout=limits.header_timeout_s if is_tls else None,
            # It runs from the first byte of the last answer: who reads on is not ended by it, but by `look`.
            ssl_shutdown_timeout=_TLS_CLOSE_S if is_tls else None,
        )

    def _connection(self, limits: ConnectionLimits) -> Callable[[], Connection]:
        return lambda: Connection(
            self.config, self.server_state, self.lifespan.state, limits=limits, room=self._room
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGHUP, too: by itself it would end the process."""
        if threading.current_thread() is not threading.main_thread():
            with super().capture_signals():
                yield
            return
        previous = signal.signal(signal.SIGHUP, self._handle_reload)
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGHUP, previous)

    def _handle_reload(self, _signal: int, _frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reload)

    def _reload(self) -> None:
        if self._certificates is None:
            _log.info("nothing_to_reload", reason="SIGHUP reloads the certificate, and there is none")
            return
        try:
            self._certificates.reload()
        except ConfigError as error:
            _log.error("certificate_not_reloaded", reason=error.message)
        else:
            _log.info("certificate_reloaded")

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
        try:
            await asyncio.gather(*(model.engine.wait_ready() for model in self._service.models.values()))
        except ConfigError as error:
            self._refusal = error
            if not self._service.is_draining:
                # Others may have models that answer.
                self._service.is_draining = True
                await self._drain()
            return
        # What is here now stays: no collection need look at it again, which would stop the event loop.
        gc.collect()
        gc.freeze()
        if self._on_ready is not None:
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
        try:
            for model in self._service.models.values():
                model.admission.start_draining()
                await model.stop()
        finally:
            self.should_exit = True

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

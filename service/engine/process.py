"""Supervises an engine process; runs the service's requests on it."""

import asyncio
import contextvars
import time
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass

import structlog

from service.deadline import Deadline
from service.domain import GenerationRequest
from service.engine.child import Child
from service.engine.config import EngineConfig
from service.engine.handover import Handover
from service.engine.messages import Add, Cancel, Ready, Step
from service.engine.protocol import Deliver, EngineState, EngineStatus
from service.engine.streams import OpenStream, OpenStreams
from service.errors import ConfigError, UnavailableError

_log = structlog.get_logger("engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorPolicy:
    """How patient the supervisor is, in seconds.

    Restarts wait `backoff_first_s`, doubled each time up to `backoff_max_s`; a process that was ready for
    `stable_s` starts the count anew. A process that owes an answer for `stall_s` is killed; that is
    less than requests wait, so no hung one looks healthy. `stop_s` is what it gets to end by itself.
    """

    backoff_first_s: float = 0.2
    backoff_max_s: float = 30.0
    stable_s: float = 60.0
    stall_s: float = 20.0
    stop_s: float = 3.0


class EngineProcess:
    """One model replica in a child process that is started again whenever it dies; see Engine."""

    def __init__(
        self, config: EngineConfig, *, python: str | None = None, policy: SupervisorPolicy | None = None
    ) -> None:
        self._config = config
        self._python = python
        self._policy = policy or SupervisorPolicy()
        self._streams = OpenStreams()
        self._handover = Handover()
        self._state: EngineState = "starting"
        self._is_ready = asyncio.Event()
        self._was_ready = False
        self._child: Child | None = None
        self._running = 0
        self._cache_ratio: float | None = None
        self._restarts = 0
        self._last_error: str | None = None
        self._refusal: ConfigError | None = None
        # Since when the child owes us a message; None while it owes none.
        self._owing_since_s: float | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to load the model, in a process of its own."""
        # A context of its own: whoever starts the engine, its logs are not of that one's request.
        self._supervisor = asyncio.create_task(
            self._supervise(), name="engine-supervisor", context=contextvars.Context()
        )

    async def wait_ready(self) -> None:
        """Return once the model can answer; see Engine.wait_ready."""
        await self._is_ready.wait()
        if self._refusal is not None:
            raise self._refusal

    async def run(
        self, request: GenerationRequest, deliver: Deliver, deadline: Deadline | None = None
    ) -> None:
        """Generate; see Engine.run."""
        if not request.has_images:
            await self._run(request, deliver, deadline)
            return
        async with AsyncExitStack() as held:
            async with deadline.enforced() if deadline else nullcontext():
                taken_up = await held.enter_async_context(self._handover.turn(deliver))
            await self._run(request, taken_up, deadline)

    async def _run(self, request: GenerationRequest, deliver: Deliver, deadline: Deadline | None) -> None:
        child = self._child
        if child is None or self._state != "ready":
            raise UnavailableError(f"the engine is {self._state}", retry_after_s=self._retry_after_s())
        request_id, stream = self._streams.open(deliver)
        timer = None
        try:
            self._send(child, Add(request_id, request))
            if deadline is not None:
                timer = self._end_at(deadline, stream)
            await stream.ended
        finally:
            if timer is not None:
                timer.cancel()
            self._streams.close(request_id)
            self._cancel(child, request_id, stream)

    def status(self) -> EngineStatus:
        """How the engine is."""
        return EngineStatus(
            state=self._state,
            open_requests=len(self._streams),
            running=self._running,
            cache_ratio=self._cache_ratio,
            restarts=self._restarts,
            pid=self._child.pid if self._child else None,
            last_error=self._last_error,
        )

    async def stop(self) -> None:
        """End the process and every open request."""
        self._set_state("stopped")
        self._streams.fail_all("the service is shutting down", retry_after_s=self._policy.backoff_max_s)
        if self._supervisor is not None:
            self._supervisor.cancel()
            # Not awaited itself: a cancellation of ours would look like its own.
            await asyncio.wait([self._supervisor])
            if not self._supervisor.cancelled() and (error := self._supervisor.exception()):
                _log.error("engine_supervisor_died", error=f"{type(error).__name__}: {error}")

    async def _supervise(self) -> None:
        backoff_s = self._policy.backoff_first_s
        while True:
            started_s = time.monotonic()
            self._last_error = await self._live_once()
            if self._refusal is not None:
                self._set_state("stopped")
                # Whoever waits is told.
                self._is_ready.set()
                return
            if time.monotonic() - started_s > self._policy.stable_s:
                backoff_s = self._policy.backoff_first_s
            self._set_state("restarting")
            self._restarts += 1
            failed = self._streams.fail_all(
                "the engine stopped unexpectedly and is restarting", retry_after_s=self._retry_after_s()
            )
            _log.error("engine_died", reason=self._last_error, failed_requests=failed, restart_in_s=backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, self._policy.backoff_max_s)

    async def _live_once(self) -> str:
        """Run one child from birth to death; return why it died."""
        try:
            child = await self._spawn()
        except OSError as error:
            return f"could not be started: {error}"
        self._child = child
        self._owing_since_s = None
        watchers = [
            asyncio.create_task(child.wait_lost(), name="engine-link"),
            asyncio.create_task(child.wait(), name="engine-exit"),
            asyncio.create_task(self._await_stall(), name="engine-stall"),
        ]
        try:
            done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            if child.refusal is not None and not self._was_ready:
                self._refusal = ConfigError(f"{self._config.model_path}: {child.refusal}")
            return _outcome(done.pop())
        except asyncio.CancelledError:
            await child.stop(self._policy.stop_s)
            raise
        finally:
            self._child = None
            if self._state != "stopped":
                self._set_state("restarting")
            self._running = 0
            self._cache_ratio = None
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await child.destroy()

    async def _spawn(self) -> Child:
        spawning = asyncio.create_task(Child.spawn(self._config, self._python, self._on_message))
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            # Half started, nobody would end it.
            child = await spawning
            await child.destroy()
            raise

    def _on_message(self, message: Ready | Step) -> None:
        if isinstance(message, Step):
            self._running = message.running
            self._cache_ratio = message.cache_ratio
            self._streams.dispatch(message.events)
            is_owing = message.running > 0 or self._streams.has_unfinished
            self._owing_since_s = time.monotonic() if is_owing else None
        elif self._state != "stopped":
            self._set_state("ready")
            self._was_ready = True
            _log.info(
                "engine_ready",
                pid=self._child.pid if self._child else None,
                model=self._config.model_path,
                properties=self._config.properties,
            )

    async def _await_stall(self) -> str:
        while True:
            await asyncio.sleep(min(1.0, self._policy.stall_s / 4))
            since_s = self._owing_since_s
            if since_s is not None and time.monotonic() - since_s > self._policy.stall_s:
                return f"no step ended within {self._policy.stall_s:g} s"

    def _send(self, child: Child, message: Add | Cancel) -> None:
        child.send(message)
        if self._owing_since_s is None:
            self._owing_since_s = time.monotonic()

    def _cancel(self, child: Child, request_id: int, stream: OpenStream) -> None:
        """Make the engine forget the request, if it still has it."""
        if stream.is_with_engine and child is self._child:
            stream.is_with_engine = False
            self._send(child, Cancel(request_id))

    def _end_at(self, deadline: Deadline, stream: OpenStream) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(deadline.at_s, lambda: stream.fail(deadline.error()))

    def _set_state(self, state: EngineState) -> None:
        self._state = state
        if state == "ready":
            self._is_ready.set()
        else:
            self._is_ready.clear()

    def _retry_after_s(self) -> float:
        """A guess at when the engine can answer again: a small model loads in some seconds."""
        return 5.0 if self._state != "stopped" else self._policy.backoff_max_s


def _outcome(watcher: "asyncio.Task[str]") -> str:
    """What a watcher found; one that broke has found that the child can't be watched, so it is given up."""
    error = watcher.exception()
    return watcher.result() if error is None else f"lost: {type(error).__name__}: {error}"

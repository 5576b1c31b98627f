"""The engine process: drain messages, add or cancel, step, send one message of events."""

import contextlib
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from service.engine.messages import (
    Add,
    Cancel,
    Fatal,
    Load,
    Ready,
    Step,
    Stop,
    ToEngine,
    encode,
    from_frames,
)
from service.engine.protocol import Backend, EngineEvent, Failed, HasCache, Started
from service.engine.registry import load_backend
from service.errors import ConfigError

# How long a new process waits for its first message, in milliseconds.
_LOAD_POLL_MS = 10_000


class Worker:
    """The loop of one engine process over one pipe, whose other end is the parent's alone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._incoming = select.poll()
        self._incoming.register(pipe.fileno(), select.POLLIN)

    def run(self) -> None:
        """Load the model the first message names; serve until told to stop.

        Raises:
            EOFError, ConnectionError: the parent is gone.
        """
        if not self._incoming.poll(_LOAD_POLL_MS):
            raise TimeoutError("no parent told this engine process what to load")
        first = self._receive()
        if not isinstance(first, Load):
            raise TypeError(f"the first message must be Load, not {type(first).__name__}")
        backend = load_backend(first.config)
        # What lives until the end need not be looked through again while requests run. Without a collection
        # first: that would hold up the start.
        gc.freeze()
        self._send(Ready())
        self._loop(backend)
        backend.close()

    def _loop(self, backend: Backend) -> None:
        cache = backend if isinstance(backend, HasCache) else None
        while True:
            events: list[EngineEvent] = []
            for message in self._drain(may_wait=not backend.running()):
                if isinstance(message, Stop):
                    return
                if isinstance(message, Cancel):
                    backend.cancel(message.request_id)
                elif isinstance(message, Add):
                    _add(message, backend, events)
                    if message.request.has_images:
                        # It was encoded now, and no stream got a token meanwhile: first a step.
                        break
            if backend.running():
                events += backend.step()
            self._send(Step(events, backend.running(), cache.cache_ratio() if cache else None))

    def _drain(self, *, may_wait: bool) -> Iterator[ToEngine]:
        if may_wait:
            yield self._receive()
        while self._incoming.poll(0):
            yield self._receive()

    def _receive(self) -> ToEngine:
        try:
            return from_frames(iter(self._pipe.recv_bytes, None))
        except OSError as error:
            # What Connection says when the other end goes within a message.
            raise EOFError from error

    def _send(self, message: Ready | Step | Fatal) -> None:
        self._pipe.send_bytes(encode(message))


def _add(message: Add, backend: Backend, events: list[EngineEvent]) -> None:
    try:
        backend.add(message.request_id, message.request)
    except Exception as error:  # noqa: BLE001 - a request's border: what add refuses costs only this request
        print(f"engine refused a request: {error}", file=sys.stderr)  # noqa: T201 - the child's log
        events.append(Failed(message.request_id, "the engine refused this request", False))
    else:
        events.append(Started(message.request_id, time.monotonic()))


def _last_words(error: Exception) -> Fatal:
    if isinstance(error, ConfigError):
        return Fatal(error.message, is_refusal=True)
    return Fatal(f"{type(error).__name__}: {error}")


def main(descriptor: int) -> int:
    """Serve the pipe at the file `descriptor` until the end; return the exit status."""
    # What the service's own process chose for itself (service/api/priority.py) is not for this one.
    if os.sched_getscheduler(0) == os.SCHED_BATCH:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    # Ctrl-C in a terminal reaches the whole process group: when to end is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as pipe:
        worker = Worker(pipe)
        try:
            worker.run()
        except (EOFError, ConnectionError):
            print("engine ends: the service is gone", file=sys.stderr)  # noqa: T201 - the child's log
            return 1
        except Exception as error:  # noqa: BLE001 - the process's border: say why, then end
            print(f"engine died: {error}", file=sys.stderr)  # noqa: T201 - the child's log
            pipe.send_bytes(encode(_last_words(error)))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

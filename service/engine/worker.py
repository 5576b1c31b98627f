"""The engine process: drain messages, add or cancel, step, send one message of events."""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator

import zmq

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

# How often an idle engine looks whether its parent still lives, in milliseconds.
_IDLE_POLL_MS = 500
# How long a new process waits for its first message, in milliseconds.
_LOAD_POLL_MS = 10_000
# How long the last message may take to leave, in milliseconds.
_LINGER_MS = 1000


class Worker:
    """The loop of one engine process over one socket."""

    def __init__(self, socket: "zmq.Socket[bytes]", parent_pid: int) -> None:
        self._socket = socket
        self._parent_pid = parent_pid
        # Taking up images encodes them, and no stream gets a token meanwhile: one request between two steps.
        self._with_images: deque[Add] = deque()

    def run(self) -> None:
        """Load the model the first message names; serve until told to stop or orphaned."""
        if not self._socket.poll(_LOAD_POLL_MS):
            raise TimeoutError("no parent told this engine process what to load")
        first = from_frames(self._socket.recv_multipart())
        if not isinstance(first, Load):
            raise TypeError(f"the first message must be Load, not {type(first).__name__}")
        backend = load_backend(first.config)
        self._send(Ready())
        self._loop(backend)
        backend.close()

    def _loop(self, backend: Backend) -> None:
        cache = backend if isinstance(backend, HasCache) else None
        while os.getppid() == self._parent_pid:
            events: list[EngineEvent] = []
            is_idle = not backend.running() and not self._with_images
            messages = list(self._drain(may_wait=is_idle))
            for message in messages:
                if isinstance(message, Stop):
                    return
                self._take(message, backend, events)
            if self._with_images:
                _add(self._with_images.popleft(), backend, events)
            if backend.running():
                events += backend.step()
            elif is_idle and not messages:
                continue
            unfinished = backend.running() + len(self._with_images)
            self._send(Step(events, unfinished, cache.cache_ratio() if cache else None))

    def _take(self, message: ToEngine, backend: Backend, events: list[EngineEvent]) -> None:
        if isinstance(message, Cancel):
            self._with_images = deque(
                one for one in self._with_images if one.request_id != message.request_id
            )
            backend.cancel(message.request_id)
        elif isinstance(message, Add):
            if message.request.pictures and message.request.pictures.images:
                self._with_images.append(message)
            else:
                _add(message, backend, events)

    def _drain(self, *, may_wait: bool) -> Iterator[ToEngine]:
        if may_wait and not self._socket.poll(_IDLE_POLL_MS):
            return
        while True:
            try:
                yield from_frames(self._socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return

    def _send(self, message: Ready | Step) -> None:
        self._socket.send(encode(message))


def _add(message: Add, backend: Backend, events: list[EngineEvent]) -> None:
    try:
        backend.add(message.request_id, message.request)
    except Exception as error:  # noqa: BLE001 - a request's border: what add refuses costs only this request
        print(f"engine refused a request: {error}", file=sys.stderr)  # noqa: T201 - the child's log
        events.append(Failed(message.request_id, "the engine refused this request", False))
    else:
        events.append(Started(message.request_id, time.monotonic()))


def main(endpoint: str) -> int:
    """Serve the socket at `endpoint` until the end; return the exit status."""
    # Ctrl-C in a terminal reaches the whole process group: when to end is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent_pid = os.getppid()
    context = zmq.Context(io_threads=1)
    socket = context.socket(zmq.PAIR)
    socket.linger = _LINGER_MS
    socket.connect(endpoint)
    try:
        Worker(socket, parent_pid).run()
    except Exception as error:  # noqa: BLE001 - the process's border: say why, then end
        print(f"engine died: {error}", file=sys.stderr)  # noqa: T201 - the child's log
        socket.send(encode(Fatal(f"{type(error).__name__}: {error}")))
        return 1
    finally:
        socket.close()
        context.term()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

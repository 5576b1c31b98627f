"""The engine process: drain messages, add or cancel, step, send one message of events."""

import os
import signal
import sys
import time
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
    decode_to_engine,
    encode,
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

    def run(self) -> None:
        """Load the model the first message names; serve until told to stop or orphaned."""
        if not self._socket.poll(_LOAD_POLL_MS):
            raise TimeoutError("no parent told this engine process what to load")
        first = decode_to_engine(self._socket.recv())
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
            messages = list(self._drain(may_wait=backend.running() == 0))
            for message in messages:
                if isinstance(message, Stop):
                    return
                _apply(message, backend, events)
            if backend.running():
                events += backend.step()
            elif not messages:
                continue
            self._send(Step(events, backend.running(), cache.cache_ratio() if cache else None))

    def _drain(self, *, may_wait: bool) -> Iterator[ToEngine]:
        if may_wait and not self._socket.poll(_IDLE_POLL_MS):
            return
        while True:
            try:
                yield decode_to_engine(self._socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                return

    def _send(self, message: Ready | Step) -> None:
        self._socket.send(encode(message))


def _apply(message: ToEngine, backend: Backend, events: list[EngineEvent]) -> None:
    if isinstance(message, Cancel):
        backend.cancel(message.request_id)
    elif isinstance(message, Add):
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

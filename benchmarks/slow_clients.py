"""Clients that send or read a byte a second, from a process of their own."""

import contextlib
import os
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Literal

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer, serve_jobs
from benchmarks.workload import generate_body

Kind = Literal["headers", "body", "reader"]

_PAUSE_S = 1.0
# Clients that know nothing of each other are not in step: these many groups take turns in each pause.
_GROUPS = 20
_NICENESS = 10
_TIMEOUT_S = 10.0
# What the system keeps of an answer that is not read: as little as it allows.
_RECEIVE_BYTES = 4096
_BODY_BYTES = 1_000_000
_PROMPT = "The sea was calm that morning"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowJob:
    """Whom to hold up with how many sockets; a reader's answer has `tokens` tokens."""

    target: Target
    headers: int
    bodies: int
    readers: int
    tokens: int

    def kinds(self) -> list[Kind]:
        """The kind of each socket."""
        counts: dict[Kind, int] = {"headers": self.headers, "body": self.bodies, "reader": self.readers}
        return [kind for kind, count in counts.items() for _ in range(count)]


@dataclass(slots=True)
class SlowResult:
    """How often a socket was opened, the first time included."""

    opened: int = 0
    failures: list[str] = field(default_factory=list)


class SlowClients:
    """Our end: `start`, then `stop` for what became of them."""

    def __init__(self) -> None:
        self._peer: Peer[SlowJob | None, SlowResult] = Peer(serve)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the child can begin. Raises: BenchmarkError when it can't."""
        self._peer.wait_ready(timeout_s)

    def start(self, job: SlowJob) -> None:
        """Open the sockets."""
        self._peer.send(job)

    def stop(self) -> SlowResult:
        """Close them. Raises: BenchmarkError when the child failed."""
        self._peer.send(None)
        return self._peer.receive(2 * _TIMEOUT_S)

    def close(self) -> None:
        """End the child."""
        self._peer.close()


def serve(pipe: Pipe) -> None:
    """Hold up from each job until the next message, until the pipe closes."""

    # They are to cost the server's machine no more than clients elsewhere would.
    os.nice(_NICENESS)

    def do(job: SlowJob) -> SlowResult:
        result = SlowResult()
        with contextlib.closing(SlowSockets(job)) as sockets:
            try:
                _hold_until_message(pipe, sockets, result)
            except OSError as error:
                result.failures.append(f"{type(error).__name__}: {error}")
            result.opened = sockets.opened
            pipe.recv()
        return result

    serve_jobs(pipe, lambda: do)


def _hold_until_message(pipe: Pipe, sockets: "SlowSockets", result: SlowResult) -> None:
    due_s = time.monotonic()
    while not pipe.poll(max(0.0, due_s - time.monotonic())):
        sockets.go_on(_GROUPS)
        due_s += _PAUSE_S / _GROUPS


class SlowSockets:
    """The sockets of a job. Those that the server closed are opened anew, as an attacker would."""

    def __init__(self, job: SlowJob) -> None:
        self._job = job
        self._kinds = job.kinds()
        self._open: list[socket.socket | None] = [None] * len(self._kinds)
        self._turn = 0
        self.opened = 0

    def go_on(self, groups: int = 1) -> int:
        """Send or read a byte on each of the next group; open those that are closed.

        Returns how many had stayed open.

        Raises:
            OSError: the server doesn't listen.
        """
        stayed = 0
        first, self._turn = self._turn, (self._turn + 1) % groups
        for place in range(first, len(self._kinds), groups):
            kind, connection = self._kinds[place], self._open[place]
            if connection is not None and _is_alive(connection, kind):
                stayed += 1
                continue
            if connection is not None:
                connection.close()
            self._open[place] = self._begin(kind)
        return stayed

    def close(self) -> None:
        """Hang up everywhere."""
        for connection in self._open:
            if connection is not None:
                connection.close()

    def _begin(self, kind: Kind) -> socket.socket:
        target = self._job.target
        connection = socket.socket()
        connection.settimeout(_TIMEOUT_S)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        connection.connect((target.host, target.port))
        connection.sendall(_beginning(self._job, kind))
        connection.setblocking(False)
        self.opened += 1
        return connection


def _beginning(job: SlowJob, kind: Kind) -> bytes:
    if kind == "headers":
        return b"POST /generate HTTP/1.1\r\nhost: x\r\nx-slow: "
    if kind == "body":
        whole = job.target.request("POST", "/generate", b"x" * _BODY_BYTES)
        return whole[:-_BODY_BYTES]
    return job.target.request("POST", "/generate_stream", generate_body(_PROMPT, max_new_tokens=job.tokens))


def _is_alive(connection: socket.socket, kind: Kind) -> bool:
    """Send or read a byte; tell whether the server still holds the connection."""
    try:
        if kind == "reader":
            return connection.recv(1) != b""
        connection.send(b"x")
        # Whatever is answered, the request was not whole.
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def fault_of(result: SlowResult, job: SlowJob) -> str | None:
    """Why the sockets were no attack; None when they were."""
    if result.failures:
        return result.failures[0]
    if result.opened < job.headers + job.bodies + job.readers:
        return f"only {result.opened} slow sockets were opened"
    return None


def require_attack(result: SlowResult, job: SlowJob) -> None:
    """Raises: BenchmarkError: the sockets were no attack."""
    if fault := fault_of(result, job):
        raise BenchmarkError(f"slow clients: {fault}")

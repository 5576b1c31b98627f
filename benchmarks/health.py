"""Probes /health at a steady rate from a process of its own, while others load the server."""

import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.http_reader import ResponseReader
from benchmarks.peer import Peer, serve_jobs

_TIMEOUT_S = 10.0
_PIECE_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeJob:
    """Whom to probe on one keep-alive connection, and how often: once in `interval_s`."""

    target: Target
    interval_s: float


@dataclass(slots=True)
class ProbeResult:
    """How long each answer took, and what went wrong."""

    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class HealthProbe:
    """Our end: `start`, then `stop` for what was seen between."""

    def __init__(self) -> None:
        self._peer: Peer[ProbeJob | None, ProbeResult] = Peer(serve)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._peer.pid

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the child can begin. Raises: BenchmarkError when it can't."""
        self._peer.wait_ready(timeout_s)

    def start(self, job: ProbeJob) -> None:
        """Begin to probe."""
        self._peer.send(job)

    def stop(self) -> ProbeResult:
        """End probing; return what was seen. Raises: BenchmarkError when the child failed."""
        self._peer.send(None)
        return self._peer.receive(2 * _TIMEOUT_S)

    def close(self) -> None:
        """End the child."""
        self._peer.close()


def serve(pipe: Pipe) -> None:
    """Probe from each job until the next message, until the pipe closes."""

    def do(job: ProbeJob) -> ProbeResult:
        result = ProbeResult()
        try:
            with socket.create_connection((job.target.host, job.target.port), _TIMEOUT_S) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _probe_until_message(pipe, job, connection, result)
        except (OSError, BenchmarkError) as error:
            result.failures.append(f"{type(error).__name__}: {error}")
        pipe.recv()
        return result

    serve_jobs(pipe, lambda: do)


def _probe_until_message(pipe: Pipe, job: ProbeJob, connection: socket.socket, result: ProbeResult) -> None:
    request = job.target.request("GET", "/health")
    due_s = time.monotonic()
    while not pipe.poll(max(0.0, due_s - time.monotonic())):
        woke_s = time.monotonic()
        # A slow answer must not hide what those behind it would have waited: their clock starts when they
        # were due. Waking late by itself is this process's own delay, not the server's.
        started_s = due_s if result.latencies_s and woke_s - due_s > job.interval_s else woke_s
        status = _exchange(connection, request)
        result.latencies_s.append(time.monotonic() - started_s)
        if status != 200:
            result.failures.append(f"status {status}")
        due_s += job.interval_s


def _exchange(connection: socket.socket, request: bytes) -> int | None:
    connection.sendall(request)
    reader = ResponseReader()
    while not reader.is_complete:
        data = connection.recv(_PIECE_BYTES)
        if not data:
            raise BenchmarkError("the server closed the connection")
        reader.feed(data)
    return reader.status

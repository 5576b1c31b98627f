"""Sends requests at a steady rate from a process of its own, whatever becomes of those before."""

import asyncio
import itertools
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import uvloop

from benchmarks.client import Connection, Reply, Target
from benchmarks.peer import Peer, serve_jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalJob:
    """Requests to send, one each `interval_s`, from the first anew when all were sent."""

    target: Target
    path: str
    bodies: list[bytes]
    interval_s: float
    timeout_s: float


class Arrivals:
    """Our end: `start`, then `stop` for the replies to what was sent between."""

    def __init__(self) -> None:
        self._peer: Peer[ArrivalJob | None, list[Reply]] = Peer(serve)
        self._timeout_s = 0.0

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until the child can begin. Raises: BenchmarkError when it can't."""
        self._peer.wait_ready(timeout_s)

    def start(self, job: ArrivalJob) -> None:
        """Begin to send."""
        self._timeout_s = job.timeout_s
        self._peer.send(job)

    def stop(self) -> list[Reply]:
        """Send no more; wait for the replies. Raises: BenchmarkError when the child failed."""
        self._peer.send(None)
        return self._peer.receive(2 * self._timeout_s)

    def close(self) -> None:
        """End the child."""
        self._peer.close()


def serve(pipe: Pipe) -> None:
    """Send each job's requests until the next message, until the pipe closes."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def do(job: ArrivalJob) -> list[Reply]:
            replies = runner.run(_send_until_message(pipe, job))
            pipe.recv()
            return replies

        serve_jobs(pipe, lambda: do)


async def _send_until_message(pipe: Pipe, job: ArrivalJob) -> list[Reply]:
    requests = [job.target.request("POST", job.path, body) for body in job.bodies]
    sent: list[asyncio.Task[Reply]] = []
    due_s = time.monotonic()
    for request in itertools.cycle(requests):
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        if pipe.poll():
            break
        sent.append(asyncio.create_task(_send(job, request)))
        due_s += job.interval_s
    return await asyncio.gather(*sent)


async def _send(job: ArrivalJob, request: bytes) -> Reply:
    connection = await Connection.open(job.target)
    try:
        return await connection.send(request, timeout_s=job.timeout_s)
    finally:
        connection.close()

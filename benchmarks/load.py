"""Loads a server from a process of its own."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe

import uvloop

from benchmarks.client import Connection, Reply, Target, open_connections
from benchmarks.errors import BenchmarkError
from benchmarks.peer import serve_jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """Requests to send, `concurrency` at a time, each on a connection that is open already.

    Where the server has closed one after an answer, a new one is opened, once for each request. A client that
    `sleeps` reads an answer's first event and then nothing before its end, on a new connection for each
    request: it takes next to nothing of the cores that it shares with the server, and knows no gaps.
    """

    target: Target
    path: str
    bodies: list[bytes]
    concurrency: int
    timeout_s: float
    sleeps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """The replies, in the order of the requests."""

    replies: list[Reply]

    @property
    def retried(self) -> int:
        """How many requests were lost unread on a connection that had served others, and were sent again."""
        return sum(reply.was_retried for reply in self.replies)


def serve(pipe: Pipe) -> None:
    """Do load jobs until the pipe closes."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def do(job: LoadJob) -> LoadResult:
            return runner.run(run_load(job))

        serve_jobs(pipe, lambda: do)


async def run_load(job: LoadJob) -> LoadResult:
    """Send every request of the job; what a server that dies meanwhile leaves unanswered are failed replies.

    Raises:
        BenchmarkError: nobody listens at the start.
    """
    waiting = deque(
        enumerate(job.target.request("POST", job.path, body, is_last=job.sleeps) for body in job.bodies)
    )
    replies: dict[int, Reply] = {}

    async def work_asleep(connection: Connection) -> None:
        while waiting:
            index, request = waiting.popleft()
            if not connection.is_open:
                with suppress(BenchmarkError):
                    connection = await Connection.open(job.target)
            # On one that is closed it is a failed reply.
            replies[index] = await connection.send(
                request, timeout_s=job.timeout_s, on_first_event=connection.sleep_until_the_end
            )
            connection.close()

    async def work(connection: Connection) -> None:
        is_fresh = True
        while waiting:
            index, request = waiting.popleft()
            reply = await connection.send(request, timeout_s=job.timeout_s)
            if reply.is_unread and not is_fresh:
                try:
                    connection = await Connection.open(job.target)
                except BenchmarkError as error:
                    reply = replace(reply, failure=error.message)
                else:
                    again = await connection.send(request, timeout_s=job.timeout_s)
                    reply = replace(again, was_retried=True)
            replies[index], is_fresh = reply, False
        connection.close()

    connections = await open_connections(job.target, job.concurrency)
    workers = [work_asleep(one) if job.sleeps else work(one) for one in connections]
    await asyncio.gather(*workers)
    return LoadResult(replies=[replies[index] for index in range(len(job.bodies))])

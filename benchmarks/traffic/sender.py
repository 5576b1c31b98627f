"""Sends a workload as its schedule has it, inside the load process."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress

from benchmarks.client import Connection, Reply
from benchmarks.errors import BenchmarkError
from benchmarks.traffic.jobs import Progress, TrafficJob, TrafficResult
from benchmarks.traffic.samples import Sample, judge, unsent
from benchmarks.traffic.schedules import Closed, Timed
from benchmarks.traffic.workloads import Ask

# Requests made before the first is sent: making them later takes CPU beside the server.
_PREPARED = 512


class Sender:
    """Sends one job's requests; `progress` may be asked meanwhile."""

    def __init__(self, job: TrafficJob) -> None:
        self._job = job
        self._idle: list[Connection] = []
        self._prepared: deque[tuple[Ask, bytes]] = deque()
        self._started_s = time.monotonic()
        self._is_warming_up = True
        self._drawn = 0
        self._sent = 0
        self._counts: Counter[str] = Counter()
        self._samples: list[Sample] = []

    async def run(self) -> None:
        """Warm up, then send what the schedule says. Raises: BenchmarkError when nobody listens."""
        await self._warm_up()
        self._prepare()
        self._samples, self._sent, self._counts = [], 0, Counter()
        self._is_warming_up, self._started_s = False, time.monotonic()
        match self._job.schedule:
            case Closed() as schedule:
                await self._send_closed(schedule)
            case Timed() as schedule:
                await self._send_timed(schedule)
        self.close()

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.close()

    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            elapsed_s=time.monotonic() - self._started_s,
            sent=self._sent,
            done=len(self._samples),
            failed=self._counts["failed"],
            output_tokens=self._counts["tokens"],
            is_warming_up=self._is_warming_up,
        )

    def result(self, *, was_stopped: bool) -> TrafficResult:
        """What became of the requests so far; those of the warm-up don't count."""
        if self._is_warming_up:
            return TrafficResult(samples=[], unfinished=0, was_stopped=was_stopped)
        unfinished = self._sent - len(self._samples)
        return TrafficResult(
            samples=self._samples,
            unfinished=unfinished,
            was_stopped=was_stopped,
            retried=self._counts["retried"],
        )

    async def _warm_up(self) -> None:
        # Alone, so that a wrong address is told at once.
        self._idle.append(await Connection.open(self._job.target))
        numbers = deque(f"warm-up/{number}" for number in range(self._job.warm_up))

        async def work() -> None:
            while numbers:
                ask = self._job.workload.ask(numbers.popleft())
                await self._send(ask, self._request(ask), time.monotonic())

        schedule = self._job.schedule
        width = schedule.concurrency if isinstance(schedule, Closed) else 1
        await _together(work() for _ in range(min(width, self._job.warm_up)))

    def _prepare(self) -> None:
        match self._job.schedule:
            case Closed(limit=limit):
                count = _PREPARED if limit.requests is None else limit.requests
            case Timed(due_s=due_s):
                count = len(due_s)
        self._prepared.extend(self._draw() for _ in range(min(count, _PREPARED)))

    async def _send_closed(self, schedule: Closed) -> None:
        limit, taken = schedule.limit, 0
        until_s = None if limit.duration_s is None else self._started_s + limit.duration_s

        async def work() -> None:
            nonlocal taken
            while (limit.requests is None or taken < limit.requests) and (
                until_s is None or time.monotonic() < until_s
            ):
                taken += 1
                await self._send(*self._next(), time.monotonic())

        await _together(work() for _ in range(schedule.concurrency))

    async def _send_timed(self, schedule: Timed) -> None:
        async with asyncio.TaskGroup() as group:
            for offset_s in schedule.due_s:
                ask, request = self._next()
                due_s = self._started_s + offset_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                group.create_task(self._send(ask, request, due_s))

    async def _send(self, ask: Ask, request: bytes, due_s: float) -> None:
        self._sent += 1
        try:
            reply = await self._exchange(request)
        except (BenchmarkError, TimeoutError) as error:
            self._note(unsent(due_s, time.monotonic(), str(error) or "no connection in time"))
        else:
            self._note(judge(reply, ask, self._job.dialect, due_s=due_s))

    async def _exchange(self, request: bytes) -> Reply:
        if (connection := self._reusable()) is not None:
            reply = await self._over(connection, request)
            if not reply.is_unread:
                return reply
            self._counts["retried"] += 1
        async with asyncio.timeout(self._job.timeout_s):
            connection = await Connection.open(self._job.target)
        return await self._over(connection, request)

    async def _over(self, connection: Connection, request: bytes) -> Reply:
        try:
            reply = await connection.send(request, timeout_s=self._job.timeout_s, keeps_events=True)
        except asyncio.CancelledError:
            connection.close()
            raise
        if reply.headers.get("connection", "").lower() == "close":
            connection.close()
        elif connection.is_open:
            self._idle.append(connection)
        return reply

    def _reusable(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    def _note(self, sample: Sample) -> None:
        self._samples.append(sample)
        self._counts["failed"] += sample.failure is not None
        self._counts["tokens"] += sample.output_tokens or 0

    def _next(self) -> tuple[Ask, bytes]:
        return self._prepared.popleft() if self._prepared else self._draw()

    def _draw(self) -> tuple[Ask, bytes]:
        ask = self._job.workload.ask(self._drawn)
        self._drawn += 1
        return ask, self._request(ask)

    def _request(self, ask: Ask) -> bytes:
        return self._job.target.request("POST", self._job.dialect.path, self._job.dialect.body(ask))


async def send_all(job: TrafficJob, watch: Callable[[Sender], Coroutine[None, None, None]]) -> TrafficResult:
    """Send a job's requests until they are answered or `watch` returns.

    Raises:
        BenchmarkError: nobody listens.
    """
    sender = Sender(job)
    sending, watching = asyncio.create_task(sender.run()), asyncio.create_task(watch(sender))
    try:
        await asyncio.wait((sending, watching), return_when=asyncio.FIRST_COMPLETED)
        was_stopped = not sending.done()
    finally:
        for task in (sending, watching):
            task.cancel()
        await asyncio.wait((sending, watching))
    for task in (sending, watching):
        with suppress(asyncio.CancelledError):
            task.result()
    sender.close()
    return sender.result(was_stopped=was_stopped)


async def _together(work: Iterable[Coroutine[None, None, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)

"""The load process against a server that misbehaves."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.traffic.dialects import OpenAi, Tgi
from benchmarks.traffic.jobs import Progress, TrafficJob, TrafficResult
from benchmarks.traffic.measures import measure
from benchmarks.traffic.paced_server import EACH_S, FIRST_S, paced_server
from benchmarks.traffic.process import TrafficProcess
from benchmarks.traffic.run import Plan, Teller, run_plan
from benchmarks.traffic.schedules import Closed, Limit, Schedule, Sweep, Timed
from benchmarks.traffic.sender import Sender, send_all
from benchmarks.traffic.settings import first_model
from benchmarks.traffic.workloads import Workload

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORKLOAD = Workload.from_spec("fixed:in=4,out=2", seed=1, model=None)
STALL_S = 0.5


def chunk(event: object) -> bytes:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def token(**end: object) -> bytes:
    return chunk({"token": {"id": 1, "text": "a"}, "generated_text": None, "details": None} | end)


LAST = token(generated_text="aa", details={"generated_tokens": 2, "input_length": 4})
SHORT = token(generated_text="a", details={"generated_tokens": 1, "input_length": 4})
GOOD = HEAD + token() + LAST + b"0\r\n\r\n"
ANSWERS = {
    "good": GOOD,
    "cut": HEAD + token(),
    "drop": b"",
    "refused": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno",
    "garbled": HEAD + b"3\r\n???\r\nzz\r\n",
    "short": HEAD + SHORT + b"0\r\n\r\n",
    "error": HEAD + chunk({"error": {"message": "broken"}}) + b"0\r\n\r\n",
}


class Misbehaving:
    """Answers request by request as `ways` has it, over and over; `stall` holds up everyone for a while."""

    def __init__(self, ways: list[str], bodies: list[bytes]) -> None:
        self._ways = ways
        self._bodies = bodies
        self._served = 0
        self._free = asyncio.Lock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self._bodies.append(await reader.readexactly(length))
        way = self._ways[self._served % len(self._ways)]
        self._served += 1
        if way == "hang":
            await reader.read()
            return False
        async with self._free:
            await asyncio.sleep(STALL_S if way == "stall" else 0)
        writer.write(ANSWERS.get(way, GOOD))
        await writer.drain()
        return way not in ("cut", "once", "drop")


@contextmanager
def misbehaving(*ways: str, bodies: list[bytes] | None = None) -> Iterator[Target]:
    """The server, in a thread, for its clients run in other processes or loops; it adds to `bodies`."""
    loop = asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(
            Misbehaving(list(ways), [] if bodies is None else bodies).serve, "127.0.0.1", 0
        )

    async def stop() -> None:
        server.close()
        # The clients have hung up, so each ends by itself.
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            _, left = await asyncio.wait(tasks, timeout=5)
            assert not left
        await asyncio.sleep(0.01)  # the transports' own turn to close

    server = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Target(host="127.0.0.1", port=server.sockets[0].getsockname()[1], token="")
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def job(target: Target, schedule: Schedule, *, warm_up: int = 0, timeout_s: float = 10.0) -> TrafficJob:
    return TrafficJob(
        target=target,
        dialect=Tgi(),
        workload=WORKLOAD,
        schedule=schedule,
        warm_up=warm_up,
        timeout_s=timeout_s,
    )


def send(one: TrafficJob) -> TrafficResult:
    async def never(_: Sender) -> None:
        await asyncio.Event().wait()

    return asyncio.run(send_all(one, never))


def kinds(result: TrafficResult) -> Counter[str]:
    return Counter(one.failure.kind if one.failure else "good" for one in result.samples)


def plan(target: Target, limit: Limit) -> Plan:
    return Plan(
        target=target,
        dialect=Tgi(),
        workload=WORKLOAD,
        limit=limit,
        slo=None,
        warm_up=None,
        timeout_s=10,
        seed=1,
    )


def test_failures_are_counted_by_kind_and_the_others_are_answered() -> None:
    ways = ("good", "refused", "cut", "garbled", "short", "error", "hang")
    closed = Closed(concurrency=1, limit=Limit(requests=14))
    with misbehaving(*ways) as target:
        result = send(job(target, closed, timeout_s=0.3))
    assert kinds(result) == {
        "good": 2,
        "status 500": 2,
        "connection lost": 2,
        "malformed stream": 2,
        "short answer": 2,
        "error event": 2,
        "timeout": 2,
    }


def test_open_loops_count_from_the_time_due_while_the_server_stalls() -> None:
    due_s = tuple(number * 0.02 for number in range(10))
    with misbehaving("stall", *["good"] * 9) as target:
        result = send(job(target, Timed(due_s=due_s)))
    assert kinds(result) == {"good": 10}
    # All wait for the first one's stall: those due late in it wait for its rest.
    latencies_s = sorted(one.ended_s - one.due_s for one in result.samples)
    assert latencies_s[-1] >= STALL_S
    assert latencies_s[0] >= STALL_S - due_s[-1] - 0.05
    dues_s = sorted(one.due_s for one in result.samples)
    assert dues_s[-1] - dues_s[0] == pytest.approx(due_s[-1])


def test_requests_that_are_sent_late_still_count_from_the_time_due() -> None:
    """The sender itself is held up: everything was due long before it could be sent."""
    with misbehaving("good") as target:
        result = send(job(target, Timed(due_s=(-STALL_S, -STALL_S / 2))))
    assert all(one.sent_s - one.due_s >= STALL_S / 2 for one in result.samples)


def test_a_server_that_hangs_up_after_each_answer_is_asked_on_a_new_connection() -> None:
    with misbehaving("once") as target:
        result = send(job(target, Closed(concurrency=2, limit=Limit(requests=20)), warm_up=2))
    assert kinds(result) == {"good": 20}


def test_a_request_that_is_lost_unread_is_sent_again_and_counted() -> None:
    with misbehaving("good", "drop", "good") as target:
        result = send(job(target, Closed(concurrency=1, limit=Limit(requests=2))))
    assert (kinds(result), result.retried) == ({"good": 2}, 1)
    assert measure(result, None).retried == 1


def test_warming_up_is_not_counted() -> None:
    with misbehaving("refused", "refused", "refused", "good") as target:
        result = send(job(target, Closed(concurrency=1, limit=Limit(requests=1)), warm_up=3))
    assert kinds(result) == {"good": 1}


def test_a_closed_loop_ends_with_its_time() -> None:
    with misbehaving("good") as target:
        result = send(job(target, Closed(concurrency=2, limit=Limit(duration_s=0.2))))
    assert len(result.samples) > 2
    assert max(one.due_s for one in result.samples) - min(one.due_s for one in result.samples) < 1


def test_an_interrupt_ends_the_load_with_what_was_measured() -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    process = TrafficProcess()
    try:
        process.wait_ready()
        with misbehaving("good", "good", "hang") as target:
            result = process.run(job(target, Closed(concurrency=1, limit=Limit())), interrupt)
    finally:
        process.close()
    assert kinds(result) == {"good": 2}
    assert (result.unfinished, result.was_stopped) == (1, True)


def test_a_sweep_goes_from_one_client_to_many_and_offers_rates_between() -> None:
    teller = Teller(say=lambda _: None, progress=lambda _: None)
    bodies: list[bytes] = []
    with misbehaving("good", bodies=bodies) as target:
        results = run_plan(plan(target, Limit(requests=5)), Sweep(steps=2, concurrency=4), "sweep", teller)
    first, second, *rates = results.stages
    assert (first.arrival, second.arrival, len(rates)) == ("closed:1", "closed:4", 2)
    assert all(stage.offered_per_s for stage in rates)
    assert all(stage.measures.answered == 5 for stage in results.stages)
    # A prompt that came before would be answered from the server's prefix cache.
    assert len(set(bodies)) == len(bodies) == 4 * 5 + 1 + 4


def test_a_server_of_known_latencies_is_measured_as_it_is() -> None:
    with paced_server() as target:
        dialect = OpenAi(model=first_model(target), is_chat=False)
        schedule = Closed(concurrency=4, limit=Limit(requests=8))
        one = TrafficJob(
            target=target, dialect=dialect, workload=WORKLOAD, schedule=schedule, warm_up=0, timeout_s=10
        )
        seen = measure(send(one), None)
    assert (seen.answered, seen.output_tokens) == (8, 16)
    assert seen.ttft_s
    assert seen.itl_s
    # Never sooner than they were sent, but for the clock's grain; how much later is up to the machine.
    assert seen.ttft_s.p50.low >= FIRST_S - 0.005
    assert seen.itl_s.mean >= EACH_S / 2


def test_nobody_there_is_told_at_once() -> None:
    teller = Teller(say=lambda _: None, progress=lambda _: None)
    with pytest.raises(BenchmarkError, match="can't connect to"):
        run_plan(
            plan(Target(host="127.0.0.1", port=1, token=""), Limit(requests=1)),
            Closed(concurrency=1, limit=Limit(requests=1)),
            "closed:1",
            teller,
        )


def test_a_schedule_without_requests_is_an_error() -> None:
    teller = Teller(say=lambda _: None, progress=lambda _: None)
    target = Target(host="127.0.0.1", port=1, token="")
    with pytest.raises(BenchmarkError, match="no request within the limit"):
        run_plan(plan(target, Limit()), Timed(due_s=()), "trace", teller)

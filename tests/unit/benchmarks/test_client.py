"""The load client against a scripted server."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from benchmarks.client import Connection, Target, TransportFailure
from benchmarks.errors import BenchmarkError
from benchmarks.load import LoadJob, run_load

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
# Two events over three chunks: neither border falls on the other.
CHUNKS = b'8\r\ndata: {}\r\n6\r\n\n\ndata\r\n10\r\n: {"index": 2}\n\n\r\n0\r\n\r\n'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@asynccontextmanager
async def scripted_server(
    *answers: bytes, hang_up: bool = False, piece: int = 1
) -> AsyncGenerator[Target, None]:
    """Give each request of a connection the next answer, `piece` bytes at a time."""

    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        has_ended = ended[-1]
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            for answer in answers:
                await _read_request(reader)
                for place in range(0, len(answer), piece):
                    writer.write(answer[place : place + piece])
                    await writer.drain()
                    # So that the client reads them one by one.
                    await asyncio.sleep(0)
            if not hang_up:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        has_ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Target(host="127.0.0.1", port=server.sockets[0].getsockname()[1], token="t")
    async with asyncio.timeout(5):
        await asyncio.gather(*(event.wait() for event in ended))


async def _read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 7, 1000])
async def test_a_stream_is_counted_event_by_event_however_it_is_cut(piece: int) -> None:
    firsts: list[bool] = []
    async with scripted_server(HEAD + CHUNKS, piece=piece) as target:
        connection = await Connection.open(target)
        reply = await connection.send(
            target.request("POST", "/", b"{}"), timeout_s=5, on_first_event=lambda: firsts.append(True)
        )
        connection.close()

    assert (reply.status, len(reply.event_times_s), reply.content) == (200, 2, b'{"index": 2}')
    assert reply.failure is None
    assert firsts == [True]
    assert reply.sent_s <= reply.event_times_s[0] <= reply.event_times_s[1] <= reply.ended_s


async def test_a_connection_serves_one_request_after_another() -> None:
    async with scripted_server(WHOLE, HEAD + CHUNKS) as target:
        connection = await Connection.open(target)
        first = await connection.send(target.request("GET", "/health"), timeout_s=5)
        second = await connection.send(target.request("POST", "/"), timeout_s=5)
        connection.close()

    assert (first.content, first.event_times_s, first.failure) == (b"{}", [], None)
    assert len(second.event_times_s) == 2


async def test_a_server_that_hangs_up_is_a_failure_not_a_hang() -> None:
    async with scripted_server((HEAD + CHUNKS)[:-5], hang_up=True) as target:
        connection = await Connection.open(target)
        reply = await connection.send(target.request("POST", "/"), timeout_s=5)

    assert reply.failure is not None
    assert "lost" in reply.failure
    assert not reply.is_hung


async def test_a_server_that_says_nothing_is_a_hang() -> None:
    async with scripted_server(b"") as target:
        connection = await Connection.open(target)
        reply = await connection.send(target.request("POST", "/"), timeout_s=0.05)

    assert reply.is_hung
    assert reply.status is None


async def test_a_stream_that_ends_inside_an_event_is_a_failure() -> None:
    async with scripted_server(HEAD + b"6\r\ndata: \r\n0\r\n\r\n") as target:
        connection = await Connection.open(target)
        reply = await connection.send(target.request("POST", "/"), timeout_s=5)

    assert reply.failure == "the stream ended inside an event"


async def test_nobody_there_is_a_clear_error() -> None:
    with pytest.raises(BenchmarkError, match="can't connect to"):
        await Connection.open(Target(host="127.0.0.1", port=1, token="t"))


async def test_load_keeps_the_order_of_its_requests_over_two_connections() -> None:
    async with scripted_server(*[WHOLE] * 4) as target:
        result = await run_load(
            LoadJob(target=target, path="/generate", bodies=[b"{}"] * 4, concurrency=2, timeout_s=5)
        )

    assert [reply.failure for reply in result.replies] == [None] * 4


async def test_load_connects_anew_where_the_server_hangs_up_after_each_answer() -> None:
    async with scripted_server(WHOLE, hang_up=True) as target:
        result = await run_load(
            LoadJob(target=target, path="/generate", bodies=[b"{}"] * 5, concurrency=2, timeout_s=5)
        )

    assert [(reply.status, reply.failure) for reply in result.replies] == [(200, None)] * 5
    assert result.retried == 3


async def test_a_sleeping_client_knows_the_first_event_and_the_end_on_a_connection_for_each() -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in [b'data: {"index": 1}\n\n'] * 40)
    answer = HEAD + chunks + b"0\r\n\r\n"
    async with scripted_server(answer, hang_up=True, piece=len(HEAD) + 30) as target:
        result = await run_load(
            LoadJob(target=target, path="/", bodies=[b"{}"] * 3, concurrency=2, timeout_s=5, sleeps=True)
        )
    for reply in result.replies:
        assert (reply.status, reply.failure, len(reply.event_times_s)) == (200, None, 40)
        # One time for the first, and one for all that came while it slept.
        assert len(set(reply.event_times_s)) <= 3


async def test_a_server_that_dies_midway_leaves_failed_replies_and_no_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        server.close()  # nobody can connect anew
        writer.write(WHOLE)
        await writer.drain()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = Target(host="127.0.0.1", port=server.sockets[0].getsockname()[1], token="t")
    result = await run_load(
        LoadJob(target=target, path="/generate", bodies=[b"{}"] * 3, concurrency=1, timeout_s=5)
    )
    await ended.wait()

    first, *others = result.replies
    assert first.failure is None
    assert all("can't connect" in (reply.failure or "") for reply in others)
    assert result.retried == 0


async def test_load_takes_a_fresh_connection_that_is_lost_for_a_failure() -> None:
    async with scripted_server(b"", hang_up=True) as target:
        result = await run_load(
            LoadJob(target=target, path="/generate", bodies=[b"{}"] * 2, concurrency=2, timeout_s=5)
        )

    assert [reply.failure_kind for reply in result.replies] == [TransportFailure.LOST] * 2


async def test_load_asks_no_second_time_once_a_byte_of_the_answer_came() -> None:
    async with scripted_server(WHOLE, WHOLE[:9], hang_up=True) as target:
        result = await run_load(
            LoadJob(target=target, path="/generate", bodies=[b"{}"] * 2, concurrency=1, timeout_s=5)
        )

    assert [reply.failure_kind for reply in result.replies] == [None, TransportFailure.LOST]


async def test_as_many_connections_as_requests_carry_one_each() -> None:
    """A comparison counts on it: every contender gets a new connection for each request."""
    async with scripted_server(WHOLE, WHOLE[:9], hang_up=True) as target:
        result = await run_load(
            LoadJob(target=target, path="/generate", bodies=[b"{}"] * 5, concurrency=5, timeout_s=5)
        )

    assert [reply.failure for reply in result.replies] == [None] * 5


def test_an_address_is_taken_apart() -> None:
    assert Target.from_url("http://127.0.0.1:8123/", "t") == Target(host="127.0.0.1", port=8123, token="t")


@pytest.mark.parametrize("url", ["https://host", "host:80", "http://host/path"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BenchmarkError, match="not a server's address"):
        Target.from_url(url, "t")

"""Clients that send or read too slowly, and more of them than there is room for."""

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.raw_http import connect, error_of, exchange, head, read_all, read_answer, request, statuses
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model
from tests.support.wordy import LONG_TOKEN, write_wordy_model

LIMITS = """
[limits]
header_timeout_s = 0.5
body_timeout_s = 0.5
body_bytes_per_s = 1000
send_timeout_s = 0.6
"""
# A look is made four times in the shortest limit; the rest is for a busy machine.
LATEST_S = 3.0


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("slow")
    config = LIMITS + fake_model(write_wordy_model(tiny_model, folder), step_s=0.001)
    with running_server(folder, config) as server:
        yield server


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; what it sent before is thrown away."""
    connection.settimeout(0.001)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def open_connections(server: RunningServer) -> int:
    found = psutil.Process(server.process.pid).net_connections(kind="tcp")
    return sum(one.status in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2") for one in found)


def send_slowly(connection: socket.socket, content: bytes, *, pause_s: float = 0.1) -> float:
    """Send a byte at a time until the server has had enough; return after how many seconds it had."""
    began_s = time.monotonic()
    connection.settimeout(pause_s)
    for place in range(len(content)):
        try:
            connection.sendall(content[place : place + 1])
            if connection.recv(1, socket.MSG_PEEK) is not None:
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    else:
        pytest.fail("the server never had enough")
    connection.settimeout(10)
    return time.monotonic() - began_s


def test_headers_a_byte_at_a_time_are_408_after_the_limit(server: RunningServer) -> None:
    with connect(server) as connection:
        assert 0.4 < send_slowly(connection, head(server)[:-2] * 5) < LATEST_S
        received = read_all(connection)
    assert statuses(received) == [408]
    assert error_of(received)["type"] == "timeout"
    assert "headers" in error_of(received)["message"]


def test_blank_lines_for_ever_are_no_request(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(request(server))
        assert statuses(read_answer(connection)) == [200]
        assert 0.4 < send_slowly(connection, b"\r\n" * 100) < LATEST_S


def test_a_blank_line_after_an_answer_is_no_slow_request(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(request(server))
        assert statuses(read_answer(connection)) == [200]
        connection.sendall(b"\r\n")
        assert read_all(connection) == b""


def test_a_connection_that_is_never_used_is_closed_without_a_word(server: RunningServer) -> None:
    with connect(server) as connection:
        began_s = time.monotonic()
        assert read_all(connection) == b""
        assert 0.4 < time.monotonic() - began_s < LATEST_S


def test_a_connection_that_was_used_may_rest_for_longer(server: RunningServer) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(request(server))
            assert statuses(read_answer(connection)) == [200]
            assert not is_closed_within(connection, 1.0)


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    finally:
        connection.settimeout(10)


@pytest.mark.parametrize("length", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_a_body_a_byte_at_a_time_is_408_after_the_limit(server: RunningServer, length: str) -> None:
    piece = b"a" if "Length" in length else b"1\r\na\r\n"
    with connect(server) as connection:
        connection.sendall(head(server, length))
        assert 0.4 < send_slowly(connection, piece * 100) < LATEST_S
        received = read_all(connection)
    assert statuses(received) == [408]
    assert "body" in error_of(received)["message"]


def test_a_body_that_is_promised_and_never_sent_is_408(server: RunningServer) -> None:
    received = exchange(server, head(server, "Content-Length: 10", "Expect: 100-continue"))
    assert statuses(received) == [100, 408]


def test_a_body_of_the_least_speed_is_taken(server: RunningServer) -> None:
    content = json.dumps({"inputs": "a" * 2_000, "parameters": {"max_new_tokens": 1}}).encode()
    with connect(server) as connection:
        connection.sendall(head(server, f"Content-Length: {len(content)}", "Connection: close"))
        for place in range(0, len(content), 200):
            connection.sendall(content[place : place + 200])
            time.sleep(0.1)
        assert statuses(read_all(connection)) == [200]


def test_extensions_and_trailers_of_chunks_have_a_bound(server: RunningServer) -> None:
    start = head(server, "Transfer-Encoding: chunked")
    for endless in (b"1;" + b"a" * 500_000, b"1\r\na\r\n0\r\nx: " + b"a" * 500_000):
        assert statuses(exchange(server, start + endless)) == [400]


def test_a_body_that_goes_on_after_its_answer_is_cut_off_however_fast_it_comes(
    server: RunningServer,
) -> None:
    with connect(server) as connection:
        connection.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert statuses(read_answer(connection)) == [401]
        began_s = time.monotonic()
        while not is_closed(connection):
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"a" * 2_000)
            time.sleep(0.05)
            assert time.monotonic() - began_s < LATEST_S


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_a_reader_that_takes_nothing_is_cut_off_long_before_the_deadline(
    server: RunningServer, path: str
) -> None:
    baseline = open_connections(server)
    with connect(server, receive_bytes=4096) as connection:
        connection.sendall(wordy_request(server, tokens=500, path=path))
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert gone_within(server, LATEST_S, baseline=baseline)


def test_a_reader_of_a_few_bytes_a_second_is_cut_off(server: RunningServer) -> None:
    baseline = open_connections(server)
    with connect(server, receive_bytes=4096) as connection:
        connection.sendall(wordy_request(server, tokens=500))
        assert connection.recv(12) == b"HTTP/1.1 200"
        deadline_s = time.monotonic() + LATEST_S + 1
        while open_connections(server) > baseline:
            assert time.monotonic() < deadline_s
            with contextlib.suppress(ConnectionError):
                connection.recv(1)
            time.sleep(0.2)


def test_a_reader_that_takes_its_time_but_takes_gets_it_all(server: RunningServer) -> None:
    with connect(server, receive_bytes=262_144) as connection:
        connection.sendall(wordy_request(server, tokens=600, path="/generate"))
        received, began_s = 0, time.monotonic()
        while received < 600 * 20_000:
            chunk = connection.recv(200_000)
            assert chunk
            received += len(chunk)
            time.sleep(0.05)
        assert time.monotonic() - began_s > 1.5


def wordy_request(server: RunningServer, *lines: str, tokens: int, path: str = "/generate_stream") -> bytes:
    return request(server, *lines, path=path, inputs=LONG_TOKEN, parameters={"max_new_tokens": tokens})


def gone_within(server: RunningServer, seconds: float, *, baseline: int) -> bool:
    deadline_s = time.monotonic() + seconds
    while open_connections(server) > baseline:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True


def open_slow_sockets(server: RunningServer) -> list[socket.socket]:
    """100 that send headers slowly, 50 that send a body slowly, 50 that don't read."""
    slow = [connect(server, receive_bytes=4096) for _ in range(200)]
    stream = request(server, path="/generate_stream", parameters={"max_new_tokens": 400})
    for connection in slow[:100]:
        connection.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nX-Slow")
    for connection in slow[100:150]:
        connection.sendall(head(server, "Content-Length: 10000") + b'{"inputs": "')
    for connection in slow[150:]:
        connection.sendall(stream)
    return slow


async def test_two_hundred_slow_clients_disturb_no_other_and_are_all_gone_after_the_limits(
    server: RunningServer,
) -> None:
    body = {"inputs": "abc", "parameters": {"max_new_tokens": 2}}
    slow = open_slow_sockets(server)
    try:
        async with server.async_client() as client:
            for _ in range(5):
                answers = await asyncio.gather(*(client.post("/generate", json=body) for _ in range(20)))
                assert {answer.status_code for answer in answers} == {200}
                await asyncio.sleep(0.1)
        deadline_s = time.monotonic() + 2 * LATEST_S
        while not all(is_closed(connection) for connection in slow[:150]):
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.1)
        assert "connections_ended" in server.log.read_text()
    finally:
        for connection in slow:
            connection.close()
    assert gone_within(server, LATEST_S, baseline=0)


def test_one_connection_too_many_takes_the_place_of_the_one_that_waits_longest(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, "[limits]\nmax_connections = 3\n" + fake_model(tiny_model)) as server:
        first, second, third = (connect(server) for _ in range(3))
        with first, second, third:
            # Since it was answered it waits less long than the second.
            first.sendall(request(server))
            assert statuses(read_answer(first)) == [200]
            assert not is_closed(second)
            with connect(server) as fourth:
                fourth.sendall(request(server))
                assert statuses(read_answer(fourth)) == [200]
                assert is_closed(second)
                assert not is_closed(first)
                assert not is_closed(third)


def test_where_all_are_busy_one_more_is_503_and_the_busy_ones_are_served(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = "[limits]\nmax_connections = 2\n" + fake_model(tiny_model, step_s=0.02)
    with running_server(tmp_path, config) as server:
        stream = request(
            server, "Connection: close", path="/generate_stream", parameters={"max_new_tokens": 50}
        )
        busy = [connect(server), connect(server)]
        for connection in busy:
            connection.sendall(stream)
            assert connection.recv(12) == b"HTTP/1.1 200"
        received = exchange(server, b"")
        assert statuses(received) == [503]
        assert error_of(received)["type"] == "unavailable"
        assert b"retry-after: 1" in received
        for connection in busy:
            assert b'"generated_tokens":50' in read_all(connection)
            connection.close()
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_more_connections_than_files_may_be_open_keep_the_processor_idle(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        process = psutil.Process(server.process.pid)
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 20, process.num_fds() + 20))
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(connect(server))
            before = process.cpu_times()
            time.sleep(1.0)
            after = process.cpu_times()
            assert after.user + after.system - before.user - before.system < 0.3
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        soft, hard = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft == hard


def test_a_drain_ends_in_time_whatever_slow_clients_do(tiny_model: Path, tmp_path: Path) -> None:
    # The limits are as they come: the end must not wait for them.
    config = "drain_timeout_s = 1\n" + fake_model(tiny_model, step_s=0.01)
    with running_server(tmp_path, config) as server:
        slow = open_slow_sockets(server)
        time.sleep(0.3)
        began_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_exit(10.0) == 0
        assert time.monotonic() - began_s < 7.0
        log = server.log.read_text()
        assert "Traceback" not in log
        # Uvicorn's words when it gives up waiting.
        assert "graceful shutdown exceeded" not in log
        # The half-sent requests are told why.
        assert {tuple(statuses(read_all(connection))) for connection in slow[100:150]} == {(503,)}
        for connection in slow:
            connection.close()

"""Heads as attackers send them, and the headers of every answer."""

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.raw_http import (
    connect,
    error_of,
    exchange,
    head,
    headers_of,
    read_all,
    read_answer,
    request,
    statuses,
)
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

BODY = b'{"inputs": "abc", "parameters": {"max_new_tokens": 1}}'
CHUNKED = "Transfer-Encoding: chunked"
# What each answer must tell a browser; what over TLS alone is tested with TLS.
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-xss-protection": "0",
}


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = "[limits]\nmax_header_bytes = 4096\nheader_timeout_s = 1\n" + fake_model(tiny_model)
    with running_server(tmp_path_factory.mktemp("headers"), config) as server:
        yield server


@pytest.fixture(autouse=True)
def others_are_unharmed(server: RunningServer) -> Iterator[None]:
    """A connection opened before an attack serves a request after it."""
    with connect(server) as other:
        other.sendall(request(server))
        assert statuses(read_answer(other)) == [200]
        yield
        other.sendall(request(server))
        assert statuses(read_answer(other)) == [200]


def plain(*lines: str, start: str = "POST /generate HTTP/1.1") -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


def chunk(content: bytes, *, size: bytes | None = None, extension: bytes = b"") -> bytes:
    return (size or b"%x" % len(content)) + extension + b"\r\n" + content + b"\r\n"


def both_lengths(server: RunningServer) -> bytes:
    return head(server, f"Content-Length: {len(BODY)}", CHUNKED) + b"0\r\n\r\n" + BODY


@pytest.mark.parametrize(
    ("lines", "rest"),
    [
        (("Content-Length: 5", CHUNKED), b"0\r\n\r\n"),
        ((CHUNKED, "Content-Length: 5"), b"0\r\n\r\n"),
        (("Content-Length: 5", "Content-Length: 6"), b"abcdef"),
        (("Content-Length: 5", "Content-Length: 5"), b"abcde"),
        (("Content-Length: 5, 5",), b"abcde"),
        (("Content-Length: +5",), b"abcde"),
        (("Content-Length: -5",), b"abcde"),
        (("Content-Length: 0x5",), b"abcde"),
        (("Content-Length: 99999999999999999999",), b"abcde"),
        (("Transfer-Encoding: chunked, gzip",), b"0\r\n\r\n"),
        (("Transfer-Encoding: xchunked",), b"0\r\n\r\n"),
        ((CHUNKED, "Transfer-Encoding: identity"), b"0\r\n\r\n"),
        (("Transfer-Encoding : chunked",), b"0\r\n\r\n"),
        (("Transfer-Encoding:\x0bchunked",), b"0\r\n\r\n"),
        (("X-Folded: a", " b"), b""),
        (("X-Null: a\0b",), b""),
        (("X\0Null: a",), b""),
        (("X-Return: a\rb",), b""),
        ((" X-First: a",), b""),
        (("No colon",), b""),
        ((": no name",), b""),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_400_and_the_end_of_its_connection(
    server: RunningServer, lines: tuple[str, ...], rest: bytes
) -> None:
    hidden = plain("Host: x", start="GET /health HTTP/1.1")
    received = exchange(server, plain("Host: x", *lines) + rest + hidden)
    assert statuses(received) == [400]
    assert error_of(received)["type"] == "validation"


@pytest.mark.parametrize(
    "content",
    [
        b"POST /generate HTTP/1.1\nHost: x\n\n",
        b"POST /generate HTTP/1.1\r\nHost: x\nContent-Length: 0\r\n\r\n",
        b"GET /health HTTP/0.9\r\n\r\n",
        b"GET /health HTTP/1.9\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://example.com HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health example HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE /health HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_request_line_that_is_none_is_400(server: RunningServer, content: bytes) -> None:
    assert statuses(exchange(server, content)) == [400]


def test_a_request_of_http_0_9_is_never_answered_as_one(server: RunningServer) -> None:
    assert statuses(exchange(server, b"GET /health\r\n")) in ([400], [408])


@pytest.mark.parametrize("size", [b"0x3", b"-3", b"+3", b"", b"g", b"fffffffffffffffff", b"3 "])
def test_a_chunk_of_no_clear_size_is_400(server: RunningServer, size: bytes) -> None:
    start = head(server, CHUNKED)
    received = exchange(server, start + size + b"\r\nabc\r\n0\r\n\r\n" + plain(start="GET /health HTTP/1.1"))
    assert statuses(received) == [400]


def test_a_chunk_that_ends_in_a_bare_line_feed_is_400(server: RunningServer) -> None:
    assert statuses(exchange(server, head(server, CHUNKED) + b"3\nabc\n0\n\n")) == [400]


def test_extensions_of_chunks_are_passed_over(server: RunningServer) -> None:
    start = head(server, CHUNKED, "Connection: close")
    body = chunk(BODY[:9], extension=b";a=b") + chunk(BODY[9:]) + b"0;x\r\n\r\n"
    assert statuses(exchange(server, start + body)) == [200]


def test_a_trailer_never_becomes_a_header(server: RunningServer) -> None:
    start = plain("Host: x", CHUNKED, "Content-Type: application/json", "Connection: close")
    trailer = f"0\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()
    assert statuses(exchange(server, start + chunk(BODY) + trailer)) == [401]


def test_an_absolute_target_is_served_by_its_path_alone(server: RunningServer) -> None:
    start = "GET http://example.com/health HTTP/1.1"
    assert statuses(exchange(server, plain("Host: y", "Connection: close", start=start))) == [200]


def test_options_of_the_whole_server_is_refused(server: RunningServer) -> None:
    received = exchange(server, plain("Host: x", "Connection: close", start="OPTIONS * HTTP/1.1"))
    assert statuses(received)[0] in (400, 401, 404)


def test_a_body_on_a_get_is_read_as_a_body(server: RunningServer) -> None:
    hidden = plain(start="GET /ready HTTP/1.1")
    start = plain(
        "Host: x", f"Content-Length: {len(hidden)}", "Connection: close", start="GET /health HTTP/1.1"
    )
    assert statuses(exchange(server, start + hidden)) == [200]


def test_what_follows_the_last_request_is_never_answered(server: RunningServer) -> None:
    assert statuses(exchange(server, request(server, "Connection: close") * 2)) == [200]


@pytest.mark.parametrize("wanted", ["h2c", "websocket"])
def test_an_upgrade_is_passed_over_and_the_body_read(server: RunningServer, wanted: str) -> None:
    asking = request(
        server, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {wanted}", "HTTP2-Settings: AA"
    )
    received = exchange(server, asking + request(server) + request(server, "Connection: close"))
    assert statuses(received) == [200, 200, 200]


def test_nonsense_after_a_request_does_not_cost_its_answer(server: RunningServer) -> None:
    received = exchange(server, request(server) * 2 + b"\x00nonsense\r\n\r\n")
    assert statuses(received) == [200, 200, 400]
    assert error_of(received)["code"] == 400


def test_a_body_cut_off_by_nonsense_is_refused_after_the_answers_before_it(server: RunningServer) -> None:
    received = exchange(server, request(server) + head(server, CHUNKED) + b"nonsense\r\n")
    assert statuses(received) == [200, 400]


def test_ten_thousand_requests_at_once_on_one_connection_are_served_in_turn_or_refused(
    server: RunningServer,
) -> None:
    found = statuses(exchange(server, plain("Host: x", start="GET /health HTTP/1.1") * 10_000))
    assert set(found[:-1]) == {200}
    assert found[-1] == 400
    assert 2 < len(found) < 30


def test_a_client_that_leaves_with_requests_in_line_is_cancelled(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, step_s=0.01, extra="max_concurrent_requests = 1")
    with running_server(tmp_path, config) as server:
        with connect(server) as connection:
            connection.sendall(request(server, parameters={"max_new_tokens": 500}) * 3)
            time.sleep(0.3)
            assert statuses(exchange(server, request(server, "Connection: close"))) == [429]
        time.sleep(0.5)
        # 500 steps would take 5 s.
        assert statuses(exchange(server, request(server, "Connection: close"))) == [200]


def test_a_few_requests_at_once_are_all_served(server: RunningServer) -> None:
    received = exchange(server, request(server) * 9 + request(server, "Connection: close"))
    assert statuses(received) == [200] * 10


@pytest.mark.parametrize(
    "lines",
    [
        ("X-Long: " + "a" * 5_000,),
        ("X" * 5_000 + ": a",),
        tuple(f"X-{number}: {'a' * 40}" for number in range(90)),
        tuple(f"X-{number}: a" for number in range(101)),
    ],
    ids=["value", "name", "sum", "count"],
)
def test_too_large_a_head_is_431(server: RunningServer, lines: tuple[str, ...]) -> None:
    received = exchange(server, plain("Host: x", *lines))
    assert statuses(received) == [431]
    assert error_of(received) == {
        "message": "the request line and the headers must have at most 4096 bytes and 100 headers",
        "type": "too_large",
        "code": 431,
    }


def test_too_long_a_target_is_431(server: RunningServer) -> None:
    assert statuses(exchange(server, plain(start=f"GET /{'a' * 5_000} HTTP/1.1"))) == [431]


def test_a_head_without_an_end_is_431_and_fills_no_memory(server: RunningServer) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX: " + b"a" * 2_000)
        with contextlib.suppress(ConnectionError):
            for _ in range(800):
                connection.sendall(b"a" * 65536)
        assert statuses(read_all(connection)) == [431]
    assert process.memory_info().rss - before < 16 * 2**20


def test_a_head_below_the_limit_is_read_in_pieces_of_any_size(server: RunningServer) -> None:
    content = request(server, "X-Long: " + "a" * 3_000, "Connection: close")
    with connect(server) as connection:
        for place in range(0, len(content), 700):
            connection.sendall(content[place : place + 700])
        assert statuses(read_all(connection)) == [200]


def test_a_large_body_counts_not_towards_the_head_that_follows_it(server: RunningServer) -> None:
    large = request(server, inputs="a" * 20_000)
    received = exchange(server, large + request(server, "Connection: close"))
    assert statuses(received) == [400, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/ui/app.js", 200),
        ("POST", "/health", 405),
        ("GET", "/info", 401),
    ],
)
def test_every_answer_has_the_headers_for_browsers_once(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    content = plain("Host: x", "Content-Length: 0", "Connection: close", start=f"{method} {path} HTTP/1.1")
    received = exchange(server, content)
    assert statuses(received) == [status]
    found = headers_of(received)
    assert found.items() >= ALWAYS.items()
    assert found["cache-control"] == ("no-cache" if path in ("/", "/ui/app.js") else "no-store")
    # Plain HTTP promises nothing of TLS.
    assert "strict-transport-security" not in found
    assert "server" not in found


@pytest.mark.parametrize("content", [b"nonsense\r\n\r\n", b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n"])
def test_an_answer_from_below_the_application_has_them_too(server: RunningServer, content: bytes) -> None:
    found = headers_of(exchange(server, content))
    assert found.items() >= (ALWAYS | {"cache-control": "no-store", "connection": "close"}).items()
    assert found["content-type"] == "application/json"
    assert "date" in found


def test_streams_may_not_be_kept_either(server: RunningServer) -> None:
    content = json.loads(BODY)
    response = httpx.post(f"{server.url}/generate_stream", headers=server.headers, json=content)
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_hundred_attacks_at_once_disturb_nobody(server: RunningServer) -> None:
    attacks = [
        both_lengths(server),
        b"\x00" * 5_000,
        plain("X: " + "a" * 9_000),
        head(server, CHUNKED) + b"zz\r\n",
    ]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        refused = pool.map(lambda number: exchange(server, attacks[number % 4]), range(100))
        assert {status for received in refused for status in statuses(received)} == {400, 431}


def test_a_target_without_a_path_costs_no_answer_before_it(server: RunningServer) -> None:
    with connect(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET http://x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(read_all(client)) == [200, 400]


@pytest.mark.parametrize("size", [1_000, 90_000])
def test_a_refused_client_that_closes_reads_why(server: RunningServer, size: int) -> None:
    start = f"POST /generate HTTP/1.0\r\nContent-Length: {size}\r\n\r\n".encode()
    with connect(server) as client:
        client.sendall(start + b"x" * size)
        assert statuses(read_all(client)) == [401]


def test_two_content_types_are_bounded_as_json(server: RunningServer) -> None:
    deep = b"[" * 1000 + b"]" * 1000
    types = "Content-Type: application/json\r\nContent-Type: text/plain"
    start = f"POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n{types}\r\n"
    with connect(server) as client:
        client.sendall(
            start.encode() + f"Connection: close\r\nContent-Length: {len(deep)}\r\n\r\n".encode() + deep
        )
        answer = read_all(client)
    assert statuses(answer) == [400]
    assert b"deep" in answer

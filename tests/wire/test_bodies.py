"""Bodies made to cost time or memory, or to break the parser, are refused and stop nobody else."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

PATHS = (
    "/generate",
    "/generate_stream",
    "/",
    "/tokenize",
    "/v1/chat/completions",
    "/v1/completions",
    "/invocations",
)
MIB = 2**20
# Far over what is measured (see SECURITY.md), so that a busy machine passes too.
LONGEST_GAP_S = 0.25
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the usual limits."""
    with running_server(tmp_path_factory.mktemp("bodies"), fake_model(tiny_model)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def _message(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text[:500]
    message: str = response.json()["error"]["message"]
    return message


@pytest.mark.parametrize("path", [*PATHS, "/detokenize"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b"[" * 65 + b"]" * 65,
        b'{"inputs": ' + b"9" * 5_000 + b"}",
        b'{"prompt": [' + b"9" * 5_000 + b"]}",
        b'{"tokens": [1e999]}',
        b'{"inputs": "a", "parameters": {"temperature": 1e999}}',
        b'{"inputs": "a", "parameters": {"temperature": NaN}}',
        b'{"inputs": "a", "parameters": {"top_p": -Infinity}}',
        b'{"inputs": "\\ud800"}',
        b'{"messages": [{"role": "user", "content": "\\udc00"}]}',
        b'{"prompt": "\\ud83d"}',
        b'{"\\ud800": 1}',
        b'{"inputs": "\xff"}',
        b'{"inputs": "a\x00"}',
        b'{"inputs": "a\n"}',
        '{"inputs": "a"}'.encode("utf-16"),
        '{"inputs": "a"}'.encode("utf-16-le"),
        '{"inputs": "a"}'.encode("utf-32-be"),
        b'{"inputs": "a"} x',
        b'{"inputs": "a"',
        b"\xef\xbb\xbf",
        b"-",
    ],
    ids=lambda body: repr(body[:32]),
)
def test_no_body_breaks_the_parser(client: httpx.Client, path: str, body: bytes) -> None:
    _message(client.post(path, content=body, headers=JSON))


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"inputs": "ab", "parameters": {"max_new_tokens": 2}}',
        b'{"inputs": "cd", "inputs": "ab", "parameters": {"max_new_tokens": 2}}',
        b'{"inputs": "\\u0061b", "parameters": {"max_new_tokens": 2, "temperature": -0.0}}',
        b'{"inputs": "ab", "parameters": {"max_new_tokens": 2}}' + b" " * 100_000,
    ],
    ids=["byte order mark", "key given twice: the last counts", "escapes", "white space"],
)
def test_odd_bodies_that_are_json_are_served(client: httpx.Client, body: bytes) -> None:
    assert client.post("/generate", content=body, headers=JSON).json()["generated_text"] == "ab"


def test_an_escaped_surrogate_pair_is_one_character(client: httpx.Client) -> None:
    body = b'{"inputs": "\\ud83d\\ude42", "parameters": {"max_new_tokens": 4}}'
    assert client.post("/generate", content=body, headers=JSON).json()["generated_text"] == "🙂"


@pytest.mark.parametrize("path", PATHS)
def test_depth_is_refused_with_the_limit_and_what_was_found(client: httpx.Client, path: str) -> None:
    message = _message(client.post(path, content=b'{"a":' * 65, headers=JSON))
    assert "at most 64 deep" in message
    assert "65" in message


@pytest.mark.parametrize("path", ["/generate", "/v1/completions", "/detokenize"])
def test_more_values_than_allowed_are_refused_with_the_limit(client: httpx.Client, path: str) -> None:
    body = b'{"tokens": [' + b"1," * 100_000 + b"1]}"
    assert "at most 100000 values" in _message(client.post(path, content=body, headers=JSON))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/xml",
        "",
        "/",
    ],
)
def test_what_is_no_json_is_told_what_to_send(client: httpx.Client, path: str, content_type: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="inputs"\r\n\r\na\r\n--x--\r\n'
    message = _message(client.post(path, content=body, headers={"content-type": content_type}))
    assert "Content-Type: application/json" in message


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_compressed_body_is_refused_by_name(client: httpx.Client, path: str, coding: str) -> None:
    headers = {**JSON, "content-encoding": coding}
    message = _message(client.post(path, content=b"\x1f\x8b\x08\x00", headers=headers))
    assert f"Content-Encoding: {coding}" in message


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/generate", {"inputs": "a", "parameters": {"stop": ["x"] * 17}}, "stop"),
        ("/generate", {"inputs": "a", "parameters": {"stop": ["x" * 1_025]}}, "stop"),
        ("/generate", {"inputs": "a", "parameters": {"stop": [""] * 50_000}}, "stop"),
        ("/generate", {"inputs": "a", "parameters": {"adapter_id": "x" * 513}}, "adapter_id"),
        ("/generate", {"inputs": "a", "model": "x" * 513}, "model"),
        ("/v1/completions", {"prompt": "a", "stop": ["x"] * 17}, "stop"),
        ("/v1/completions", {"prompt": "a", "stop": "x" * 1_025}, "stop"),
        ("/v1/completions", {"prompt": "a", "user": "x" * 513}, "user"),
        ("/v1/completions", {"prompt": "a", "logit_bias": {"1": 1}}, "logit_bias"),
        ("/v1/chat/completions", {"stop": ["x" * 1_025]}, "stop"),
        ("/v1/chat/completions", {"metadata": {str(key): "x" for key in range(17)}}, "metadata"),
        ("/v1/chat/completions", {"metadata": {"a": "x" * 513}}, "metadata"),
        ("/v1/chat/completions", {"safety_identifier": "x" * 513}, "safety_identifier"),
        ("/v1/chat/completions", {"prompt_cache_key": "x" * 513}, "prompt_cache_key"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_fields_have_a_greatest_size(
    client: httpx.Client, path: str, body: dict[str, object], named: str
) -> None:
    if path == "/v1/chat/completions":
        body = {"messages": [{"role": "user", "content": "a"}], **body}
    assert named in _message(client.post(path, json=body))


class _Poller:
    """Asks for /health without a pause; keeps the longest time that an answer took."""

    def __init__(self, server: RunningServer) -> None:
        self._connection = http.client.HTTPConnection(*server.address, timeout=30)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.longest_s = 0.0
        self.answers = 0

    def __enter__(self) -> "_Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _poll(self) -> None:
        while not self._stop.is_set():
            began_s = time.perf_counter()
            self._connection.request("GET", "/health")
            with self._connection.getresponse() as response:
                assert response.read() == b'{"status":"healthy"}'
            self.longest_s = max(self.longest_s, time.perf_counter() - began_s)
            self.answers += 1


def _prompt(text: bytes, parameters: bytes = b"{}") -> bytes:
    return b'{"inputs": "' + text + b'", "parameters": ' + parameters + b"}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (_prompt(b"a" * (15 * MIB)), 400),
        (_prompt(b"a" * (15 * MIB), b'{"truncate": 5, "max_new_tokens": 5}'), 200),
        (_prompt(b"\\n" * (15 * MIB // 2)), 400),
        (_prompt("é".encode() * (15 * MIB // 2), b'{"truncate": 5, "max_new_tokens": 5}'), 200),
        (b'{"inputs": [' + b"12345," * MIB + b"1]}", 400),
        (b"{" + b",".join(b'"%d":1' % key for key in range(200_000)) + b"}", 400),
        (b'{"inputs": [' + b",".join([b"9" * 4_300] * 3_000) + b"]}", 400),
    ],
    ids=["a", "a, truncated", "escapes", "é, truncated", "token ids", "fields", "long numbers"],
)
def test_others_are_answered_while_a_huge_body_is(
    server: RunningServer, client: httpx.Client, body: bytes, status: int
) -> None:
    client.get("/health")
    with _Poller(server) as poller:
        response = client.post("/generate", content=body, headers=JSON)
    assert response.status_code == status, response.text[:500]
    assert poller.longest_s < LONGEST_GAP_S


@contextmanager
def _body_begun(server: RunningServer, *, sent: int, declared: int | None = None) -> Iterator[socket.socket]:
    """A request that has sent so much of its body, and waits."""
    length = f"Content-Length: {declared}" if declared else "Transfer-Encoding: chunked"
    head = (
        f"POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n\r\n"
    )
    part = b'"' + b"a" * (sent - 1)
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(head.encode() + (part if declared else b"%x\r\n" % sent + part + b"\r\n"))
        yield connection


def _let_it_read(client: httpx.Client) -> None:
    """Return once the server has read what lies in its sockets: each turn of its loop serves all of them."""
    for _ in range(50):
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("declared", [500_000, None], ids=["declared", "chunked"])
def test_all_bodies_together_have_a_limit_and_room_comes_back_when_clients_leave(
    tiny_model: Path, tmp_path: Path, declared: int | None
) -> None:
    config = "limits.max_buffered_bytes = 1000000\n" + fake_model(tiny_model)
    body = _prompt(b"a" * 200_000)
    with running_server(tmp_path, config) as server, server.client() as client:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(_body_begun(server, sent=450_000, declared=declared))
            _let_it_read(client)
            refused = client.post("/generate", content=body, headers=JSON)
            assert "at most 1000000 bytes" in _message(refused, 503)
            assert refused.headers["retry-after"] == "1"
            small = {"inputs": "ab", "parameters": {"max_new_tokens": 2}}
            assert client.post("/generate", json=small).json()["generated_text"] == "ab"
        _let_it_read(client)
        assert "at most 511 tokens" in _message(client.post("/generate", content=body, headers=JSON))


def test_many_large_bodies_at_once_leave_memory_within_the_limit(tiny_model: Path, tmp_path: Path) -> None:
    config = f"limits.max_buffered_bytes = {64 * MIB}\n" + fake_model(tiny_model)
    with running_server(tmp_path, config) as server, server.client() as client, ExitStack() as stack:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        connections = [
            stack.enter_context(_body_begun(server, sent=8 * MIB, declared=16 * MIB)) for _ in range(30)
        ]
        _let_it_read(client)
        # Each that was refused has its answer; the others wait for the rest of their bodies.
        answers = [_answer_so_far(connection) for connection in connections]
        grown = process.memory_info().rss - before
    assert set(answers) == {b"", b"HTTP/1.1 503"}
    assert grown < 2 * 64 * MIB


def _answer_so_far(connection: socket.socket) -> bytes:
    connection.setblocking(False)
    try:
        return connection.recv(12)
    except BlockingIOError:
        return b""

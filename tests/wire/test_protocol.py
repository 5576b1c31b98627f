"""HTTP's own corners: methods, paths, headers, bodies as no well-bred client sends them."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer

JSON_TYPE = {"content-type": "application/json"}
GENERATED_ID = re.compile(r"[0-9a-f]{16}")


@pytest.fixture(scope="module")
def client(fake_server: RunningServer) -> Iterator[httpx.Client]:
    with fake_server.client() as client:
        yield client


def error_of(response: httpx.Response, status: int, kind: str) -> str:
    """Assert the whole shape of an error; return its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    found = response.json()
    message: str = found["error"]["message"]
    shape = {"error": {"message": message, "type": kind, "code": status}, "error_type": found["error_type"]}
    assert found == shape
    return message


def body(inputs: str = "abc", **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


def exchange(server: RunningServer, *parts: bytes, is_closed: bool = True) -> bytes:
    """Send raw bytes; read until the server closes, or until it is silent."""
    with socket.create_connection(server.address, timeout=5) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        connection.settimeout(5 if is_closed else 0.5)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            assert not is_closed, received
        return received


def head(server: RunningServer, *lines: str) -> bytes:
    start = ["POST /generate HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*start, "Content-Type: application/json", *lines, "", ""]).encode()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_a_wrong_method_is_405_with_the_right_one(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)
    assert method in error_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_a_405_names_the_methods_of_every_router(client: httpx.Client) -> None:
    assert client.put("/").headers["allow"] == "GET, HEAD, POST"
    assert client.put("/v1/models/tiny").headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/info", "/health", "/ready"])
def test_a_probe_cannot_be_posted_to(client: httpx.Client, path: str) -> None:
    error_of(client.post(path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/generate/x", "/docs", "/.env", "/%2e%2e/etc/passwd", "/%00", "/é"],
)
def test_an_unknown_path_is_404_for_every_method(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        error_of(client.request(method, path), 404, "not_found")


def test_a_slash_too_many_is_404_too(client: httpx.Client) -> None:
    error_of(client.post("/generate/", json=body(), follow_redirects=False), 404, "not_found")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"[" * 49_999 + b"]" * 49_999,
        b'{"inputs":' * 9_000,
        b'{"inputs":"a","parameters":' * 3_000,
    ],
    ids=["open brackets", "closed brackets", "objects", "parameters"],
)
def test_deep_nesting_is_400(client: httpx.Client, content: bytes) -> None:
    error_of(client.post("/generate", content=content[:100_000], headers=JSON_TYPE), 400, "validation")


def test_a_deeply_nested_grammar_is_400(client: httpx.Client) -> None:
    for depth in (5_000, 15_000):
        value = '{"a":' * depth + "1" + "}" * depth
        content = '{"inputs":"a","parameters":{"grammar":{"type":"json","value":' + value + "}}}"
        response = client.post("/generate", content=content.encode(), headers=JSON_TYPE, timeout=10)
        error_of(response, 400, "validation")


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "a\\ud83d", "\\ude42\\ud83d"])
@pytest.mark.parametrize(
    "template",
    [
        '{"inputs": "HALF"}',
        '{"inputs": "a", "HALF": 1}',
        '{"inputs": "a", "parameters": {"HALF": 1}}',
        '{"inputs": "a", "parameters": {"stop": ["HALF"]}}',
        '{"inputs": "a", "parameters": {"adapter_id": "HALF"}}',
        '{"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": "HALF"}}}',
        '{"inputs": "a", "parameters": {"grammar": {"type": "json", "value": {"x": "HALF"}}}}',
        '{"inputs": "a", "parameters": {"grammar": {"type": "json", "value": {"HALF": 1}}}}',
    ],
)
def test_half_a_surrogate_pair_anywhere_is_400(client: httpx.Client, template: str, half: str) -> None:
    content = template.replace("HALF", half).encode()
    error_of(client.post("/generate", content=content, headers=JSON_TYPE), 400, "validation")


def test_a_whole_surrogate_pair_is_a_character(client: httpx.Client) -> None:
    content = b'{"inputs": "\\ud83d\\ude42", "parameters": {"max_new_tokens": 4}}'
    assert client.post("/generate", content=content, headers=JSON_TYPE).json()["generated_text"] == "🙂"


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "NaN", "-Infinity", "1" * 400, "1" * 5_000, "0x10", "01", "1_0"]
)
@pytest.mark.parametrize("name", ["temperature", "max_new_tokens", "seed", "top_p", "stop"])
def test_a_number_that_is_none_or_too_big_is_400(client: httpx.Client, name: str, number: str) -> None:
    content = f'{{"inputs": "a", "parameters": {{"{name}": {number}}}}}'.encode()
    error_of(client.post("/generate", content=content, headers=JSON_TYPE), 400, "validation")


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None]
)
def test_a_body_of_another_type_is_400_and_told_which_one_it_should_be(
    client: httpx.Client, type_: str | None
) -> None:
    headers = {} if type_ is None else {"content-type": type_}
    response = client.post("/generate", content=b'{"inputs": "a"}', headers=headers)
    assert "application/json" in error_of(response, 400, "validation")


@pytest.mark.parametrize("type_", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_may_name_its_charset_and_be_shouted(client: httpx.Client, type_: str) -> None:
    content = json.dumps(body("é", max_new_tokens=1)).encode()
    assert client.post("/generate", content=content, headers={"content-type": type_}).status_code == 200


def test_a_message_repeats_no_more_than_it_must(client: httpx.Client) -> None:
    message = error_of(client.post("/generate", json={"inputs": "a", "k" * 50_000: 1}), 400, "validation")
    assert len(message) < 2_000
    many = {f"unknown{number}": 1 for number in range(50)}
    message = error_of(client.post("/generate", json={"inputs": "a", **many}), 400, "validation")
    assert "unknown0" in message
    assert len(message) < 2_000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_exactly_at_the_limit_is_read(client: httpx.Client, chunked: bool) -> None:
    for size, status in ((100_000, 400), (100_001, 413)):
        content = b'{"inputs": "' + b"a" * (size - 14) + b'"}'
        assert len(content) == size
        sent = iter([content[:50_000], content[50_000:]]) if chunked else content
        assert client.post("/generate", content=sent, headers=JSON_TYPE).status_code == status


def test_a_client_that_asks_before_sending_is_answered_without_being_told_to_send(
    fake_server: RunningServer,
) -> None:
    received = exchange(fake_server, head(fake_server, "Content-Length: 1000000", "Expect: 100-continue"))
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in received


def test_a_client_that_asks_before_sending_may_send(fake_server: RunningServer) -> None:
    content = json.dumps(body(max_new_tokens=2)).encode()
    with socket.create_connection(fake_server.address, timeout=5) as connection:
        length = f"Content-Length: {len(content)}"
        connection.sendall(head(fake_server, length, "Expect: 100-continue", "Connection: close"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(content)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"generated_text":"ab"' in received


def test_a_connection_serves_one_request_after_another(fake_server: RunningServer) -> None:
    content = json.dumps(body(max_new_tokens=1)).encode()
    once = head(fake_server, f"Content-Length: {len(content)}") + content
    bad = head(fake_server, "Content-Length: 1") + b"{"
    received = exchange(fake_server, once + bad + once, is_closed=False)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"400", b"200"]


def test_what_is_not_http_is_400_and_the_service_lives_on(fake_server: RunningServer) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 100):
        assert exchange(fake_server, garbage).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"{fake_server.url}/health").status_code == 200


def test_a_slow_sender_holds_nobody_up(fake_server: RunningServer, client: httpx.Client) -> None:
    with socket.create_connection(fake_server.address, timeout=5) as connection:
        connection.sendall(head(fake_server, "Content-Length: 50") + b"{")
        assert client.post("/generate", json=body(max_new_tokens=1)).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Basic YTpi", "Bearer a b", "a-token-for-tests", "Bearer\ta", "é"]
)
def test_a_malformed_authorization_is_401_without_echo(
    fake_server: RunningServer, authorization: str
) -> None:
    headers = {"authorization": authorization.encode()}
    response = httpx.get(f"{fake_server.url}/info", headers=headers)
    error_of(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    # A right one clears the count, so that this module's client is not banned.
    assert httpx.get(f"{fake_server.url}/info", headers=fake_server.headers).status_code == 200


def test_each_answer_has_an_id_of_its_own_errors_and_streams_included(client: httpx.Client) -> None:
    responses = [
        client.get("/health"),
        client.get("/nothing"),
        client.post("/generate", json=body(max_new_tokens=0)),
        client.post("/generate", json=body(max_new_tokens=1)),
        client.post("/generate_stream", json=body(max_new_tokens=1)),
    ]
    ids = [response.headers["x-request-id"] for response in responses]
    assert len(set(ids)) == len(ids)
    assert all(GENERATED_ID.fullmatch(one) for one in ids)
    for path in ("/generate", "/generate_stream", "/"):
        answer = client.post(path, json=body(max_new_tokens=1), headers={"x-request-id": "its.own-id_1"})
        assert answer.headers["x-request-id"] == "its.own-id_1"


@pytest.mark.parametrize("given", ["a" * 65, "a b", "a/b", "<script>", "é".encode().decode("latin-1"), ""])
def test_an_id_that_could_do_harm_is_replaced(client: httpx.Client, given: str) -> None:
    answer = client.get("/health", headers={"x-request-id": given.encode("latin-1")})
    assert GENERATED_ID.fullmatch(answer.headers["x-request-id"])


def test_a_stream_has_the_headers_that_are_known_at_its_start(client: httpx.Client) -> None:
    for path, extra in (("/generate_stream", {}), ("/generate", {"stream": True}), ("/", {"stream": True})):
        stream = client.post(path, json={**body(max_new_tokens=2, typical_p=0.95), **extra})
        headers = stream.headers
        assert headers["content-type"].partition(";")[0] == "text/event-stream"
        assert (headers["x-accel-buffering"], headers["cache-control"]) == ("no", "no-cache")
        assert (headers["x-prompt-tokens"], headers["x-compute-type"]) == ("3", "cpu")
        assert int(headers["x-queue-time"]) >= 0
        assert "typical_p" in headers["warning"]
        assert "x-generated-tokens" not in headers
        assert stream.text.count("data: ") == 2


def test_an_error_before_the_first_event_of_a_stream_has_its_own_status(client: httpx.Client) -> None:
    response = client.post("/", json={**body(max_new_tokens=600), "stream": True})
    assert "512" in error_of(response, 400, "validation")


def test_a_stream_that_is_not_wanted_is_none(client: httpx.Client) -> None:
    for wanted in (False, None):
        answer = client.post("/generate", json={**body(max_new_tokens=1), "stream": wanted})
        assert answer.json()["generated_text"] == "a"
    error_of(client.post("/generate", json={**body(), "stream": "true"}), 400, "validation")

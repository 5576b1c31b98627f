"""Every way to be refused has the documented status and shape."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer
from tests.support.tiny import CONTEXT_LENGTH


@pytest.fixture(scope="module")
def client(fake_server: RunningServer) -> Iterator[httpx.Client]:
    with fake_server.client() as client:
        yield client


def _check(response: httpx.Response, status: int, kind: str) -> str:
    """Assert the error's shape; return its message."""
    body = response.json()
    assert response.status_code == status, body
    assert body.keys() == {"error", "error_type"}
    assert body["error"].keys() == {"message", "type", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == (kind, status)
    assert isinstance(body["error_type"], str)
    message: str = body["error"]["message"]
    for secret in ("Traceback", "/service/", "site-packages", "a-token-for-tests"):
        assert secret not in message
    return message


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"max_new_tokens": "5"}, "max_new_tokens"),
        ({"max_new_tokens": 5.0}, "max_new_tokens"),
        ({"max_new_tokens": 10**30}, "max_new_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 0, "do_sample": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"frequency_penalty": 2.1}, "frequency_penalty"),
        ({"presence_penalty": -2.1}, "presence_penalty"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": True}, "seed"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": "x"}, "stop"),
        ({"stop": ["x" * 2000]}, "stop"),
        ({"truncate": 0}, "truncate"),
        ({"truncate": CONTEXT_LENGTH}, "truncate"),
        ({"min_new_tokens": 3, "max_new_tokens": 2}, "min_new_tokens"),
        ({"min_new_tokens": CONTEXT_LENGTH}, "min_new_tokens"),
        ({"max_new_tokens": CONTEXT_LENGTH}, str(CONTEXT_LENGTH)),
        ({"no_such_thing": 1}, "no_such_thing"),
        ({"typical_p": 0.5}, "typical_p"),
        ({"watermark": True}, "watermark"),
        ({"top_n_tokens": 2}, "top_n_tokens"),
        ({"adapter_id": "x"}, "adapter_id"),
        ({"best_of": 2}, "best_of"),
        ({"grammar": {"type": "regex", "value": 3}}, "grammar"),
        ({"grammar": {"type": "ebnf", "value": "x"}}, "grammar"),
        ({"grammar": {"type": "regex", "value": "x" * 70_000}}, "grammar"),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    client: httpx.Client, parameters: dict[str, Any], named: str
) -> None:
    response = client.post("/generate", json={"inputs": "abc", "parameters": parameters})
    assert named in _check(response, 400, "validation")
    assert response.json()["error_type"] == "validation"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"inputs": 5}',
        b'{"inputs": ""}',
        b'{"inputs": "a", "unknown": 1}',
        b'{"inputs": "a", "parameters": []}',
        b'{"inputs": "a", "parameters": {"temperature": NaN}}',
        b'{"inputs": "a", "parameters": {"temperature": Infinity}}',
        b'{"inputs": "\\ud800"}',
        b'{"inputs": "a", "parameters": {"stop": ["\\ud800"]}}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 10_000,
        b'{"inputs": "a", "parameters": {"seed": ' + b"9" * 5_000 + b"}}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_bad_body_is_400(client: httpx.Client, body: bytes) -> None:
    for path in ("/generate", "/generate_stream", "/"):
        _check(
            client.post(path, content=body, headers={"content-type": "application/json"}), 400, "validation"
        )


def test_a_body_of_too_many_fields_is_told_so(client: httpx.Client) -> None:
    fields = {f"unknown{index}": 1 for index in range(100)}
    message = _check(client.post("/generate", json={"inputs": "a", **fields}), 400, "validation")
    assert "101 fields" in message


def test_a_body_sent_as_something_else_is_told_the_content_type(client: httpx.Client) -> None:
    response = client.post("/generate", content=b"inputs=a", headers={"content-type": "text/plain"})
    assert "application/json" in _check(response, 400, "validation")


def test_a_prompt_too_long_is_400_with_both_numbers(client: httpx.Client) -> None:
    response = client.post("/generate", json={"inputs": "a" * 700})
    message = _check(response, 400, "validation")
    assert str(CONTEXT_LENGTH - 1) in message
    assert "700" in message


def test_prompt_and_answer_too_long_together_is_400_with_the_numbers(client: httpx.Client) -> None:
    body = {"inputs": "a" * 500, "parameters": {"max_new_tokens": 13}}
    message = _check(client.post("/generate", json=body), 400, "validation")
    assert "500 + 13" in message


def test_unknown_paths_and_methods_have_the_same_shape(client: httpx.Client) -> None:
    assert "/nothing" in _check(client.get("/nothing"), 404, "not_found")
    response = client.get("/generate")
    assert "GET" in _check(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_a_missing_token_is_401_with_a_challenge_and_is_not_counted(fake_server: RunningServer) -> None:
    for _ in range(8):
        response = httpx.post(f"{fake_server.url}/generate", json={"inputs": "a"})
        _check(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/generate", "/nothing", "/info", "/docs", "/openapi.json"])
def test_nothing_but_the_probes_answers_without_a_token(fake_server: RunningServer, path: str) -> None:
    _check(httpx.get(f"{fake_server.url}{path}"), 401, "unauthorized")


def test_the_playgrounds_page_is_for_everybody_and_posting_there_is_not(fake_server: RunningServer) -> None:
    assert httpx.get(f"{fake_server.url}/").headers["content-type"].startswith("text/html")
    _check(httpx.post(f"{fake_server.url}/", json={"inputs": "a"}), 401, "unauthorized")


def test_the_schemes_case_does_not_matter(fake_server: RunningServer) -> None:
    response = httpx.get(f"{fake_server.url}/info", headers={"Authorization": f"bEARER {fake_server.token}"})
    assert response.status_code == 200


def test_a_body_over_the_limit_is_413_with_and_without_a_declared_length(client: httpx.Client) -> None:
    big = json.dumps({"inputs": "a" * 200_000}).encode()
    headers = {"content-type": "application/json"}
    assert "100000" in _check(client.post("/generate", content=big, headers=headers), 413, "too_large")
    chunks = (big[start : start + 10_000] for start in range(0, len(big), 10_000))
    _check(client.post("/generate", content=chunks, headers=headers), 413, "too_large")


def test_a_body_over_the_limit_is_refused_before_it_is_all_there(fake_server: RunningServer) -> None:
    head = (
        f"POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fake_server.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection(fake_server.address, timeout=5) as connection:
        connection.sendall(head.encode() + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_health_and_ready_need_no_token(fake_server: RunningServer) -> None:
    assert httpx.get(f"{fake_server.url}/health").json() == {"status": "healthy"}
    assert httpx.get(f"{fake_server.url}/ready").status_code == 200

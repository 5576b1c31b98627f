"""Requests byte by byte, as no well-bred client sends them."""

import contextlib
import json
import re
import socket
from typing import Any

from tests.support.server import RunningServer


def connect(server: RunningServer, *, receive_bytes: int | None = None) -> socket.socket:
    """Open a connection; `receive_bytes` is what the system buffers of an answer."""
    connection = socket.socket()
    connection.settimeout(10)
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect(server.address)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes; a reset ends it, too."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def read_answer(connection: socket.socket) -> bytes:
    """Read one answer whose length is declared; the connection stays open."""
    received = b""
    while True:
        start, end, body = received.partition(b"\r\n\r\n")
        if end and len(body) >= int(headers_of(start + end)["content-length"]):
            return received
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk


def exchange(server: RunningServer, content: bytes) -> bytes:
    """Send bytes; read until the server closes."""
    with connect(server) as connection:
        # It may refuse before it has read all.
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
        return read_all(connection)


def head(server: RunningServer, *lines: str, path: str = "/generate", method: str = "POST") -> bytes:
    """The head of a request with a good token and JSON; `lines` are further headers."""
    start = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token}"]
    return "\r\n".join([*start, "Content-Type: application/json", *lines, "", ""]).encode()


def request(server: RunningServer, *lines: str, path: str = "/generate", **body: Any) -> bytes:
    """A whole request with a good token and a JSON body."""
    content = json.dumps({"inputs": "abc", "parameters": {"max_new_tokens": 1}, **body}).encode()
    return head(server, f"Content-Length: {len(content)}", *lines, path=path) + content


def statuses(received: bytes) -> list[int]:
    """The status of each answer."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def error_of(received: bytes) -> dict[str, Any]:
    """The error object of the last answer; fails when it has another shape."""
    found: dict[str, Any] = json.loads(received.rpartition(b"\r\n\r\n")[2])
    assert set(found) == {"error", "error_type"}
    assert set(found["error"]) == {"message", "type", "code"}
    error: dict[str, Any] = found["error"]
    return error


def headers_of(received: bytes) -> dict[str, str]:
    """The headers of the first answer, each of which must be there once."""
    lines = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = [line.partition(": ")[::2] for line in lines]
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)

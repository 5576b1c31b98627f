"""A service from its first start to its end, and the requests that outlast their welcome."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import GenerationError, IncompleteGenerationError, OverloadedError

from tests.support.server import RunningServer, free_port, running_server
from tests.support.tiny import fake_model
from tests.support.wordy import LONG_TOKEN, write_wordy_model


def body(inputs: str = "abc", **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


async def events_of(client: httpx.AsyncClient, request: dict[str, Any]) -> list[dict[str, Any]]:
    async with client.stream("POST", "/generate_stream", json=request) as response:
        assert response.status_code == 200
        return [
            json.loads(line.removeprefix("data: "))
            async for line in response.aiter_lines()
            if line.startswith("data: ")
        ]


@contextlib.contextmanager
def without_valid_token(folder: Path, config: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]", Path]]:
    """A server whose environment brings no token; gives its address, itself, what it printed."""
    port, printed = free_port(), folder / "stdout.log"
    (folder / "tiber-serve.toml").write_text(f"port = {port}\n{config}")
    variables = {name: value for name, value in os.environ.items() if name != "VALID_TOKEN"}
    with printed.open("wb") as stdout, (folder / "stderr.log").open("wb") as stderr:
        command = [sys.executable, "-m", "service.cli", "serve"]
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=stdout, stderr=stderr)
    try:
        deadline = time.monotonic() + 30
        while b"try: curl" not in printed.read_bytes():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process, printed
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def status_with(url: str, token: str) -> int:
    return httpx.get(f"{url}/info", headers={"Authorization": f"Bearer {token}"}).status_code


def test_the_first_start_prints_a_token_once_and_stores_its_hash_for_the_owner_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = fake_model(tiny_model)
    with without_valid_token(tmp_path, config) as (url, _, printed):
        found = re.search(r"^token .*: (\S+)$", printed.read_text(), re.MULTILINE)
        assert found
        token = found[1]
        assert f"curl {url}/generate" in printed.read_text()
        assert f"Bearer {token}" in printed.read_text()
        assert status_with(url, token) == 200
        stored = tmp_path / "var" / "tokens.json"
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        assert token not in stored.read_text()
        assert token not in (tmp_path / "stderr.log").read_text()
    with without_valid_token(tmp_path, config) as (url, _, printed):
        assert token not in printed.read_text()
        assert status_with(url, token) == 200


def test_a_running_service_takes_new_tokens_and_refuses_revoked_ones_within_seconds(
    tiny_model: Path, tmp_path: Path
) -> None:
    def token_command(*arguments: str) -> str:
        command = [sys.executable, "-m", "service.cli", "token", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    def wait_for(status: int, token: str) -> None:
        deadline = time.monotonic() + 4
        while status_with(url, token) != status:
            assert time.monotonic() < deadline
            time.sleep(0.3)

    with without_valid_token(tmp_path, "[auth]\nmax_failures = 1000\n" + fake_model(tiny_model)) as (url, *_):
        token = token_command("create", "late")
        wait_for(200, token)
        token_command("revoke", "late")
        wait_for(401, token)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_model_loads_ends_it_soon_with_nothing_left(
    tiny_model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    config = fake_model(tiny_model).replace("properties = {", 'properties = { load_s = "60",')
    with running_server(tmp_path, config, is_ready=False) as server:
        deadline = time.monotonic() + 20
        while not _answers(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert children
        server.process.send_signal(number)
        assert server.wait_exit(6.0) == 0
        assert not [child for child in children if child.is_running()]
        assert "Traceback" not in server.log.read_text()


def test_settings_that_the_engine_refuses_end_the_service_with_the_reason(
    tiny_model: Path, tmp_path: Path
) -> None:
    refused = "`cache_gib` = 1 is too little: raise it"
    config = fake_model(tiny_model).replace("properties = {", f'properties = {{ refusal = "{refused}",')
    with running_server(tmp_path, config, is_ready=False) as server:
        assert server.wait_exit(20.0) == 2
        log = server.log.read_text()
    assert f"error: {tiny_model}: {refused}" in log
    assert "Traceback" not in log
    assert "engine_died" not in log


def _answers(server: RunningServer) -> bool:
    try:
        return httpx.get(f"{server.url}/health").status_code == 503
    except httpx.TransportError:
        return False


def test_an_idle_service_ends_at_once_though_a_client_keeps_its_connection(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server, server.client() as client:
        assert client.post("/generate", json=body(max_new_tokens=1)).status_code == 200
        began_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_exit(5.0) == 0
        assert time.monotonic() - began_s < 3.0


def test_sighup_without_a_certificate_says_that_there_is_nothing_to_reload(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 5
        while "nothing_to_reload" not in server.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"{server.url}/health").status_code == 200


async def test_while_draining_probes_say_so_and_the_open_stream_gets_its_answer(
    tiny_model: Path, tmp_path: Path
) -> None:
    config = fake_model(tiny_model, step_s=0.02, extra="max_running_requests = 1")
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            running = asyncio.create_task(events_of(client, body(max_new_tokens=40)))
            waiting = asyncio.create_task(client.post("/generate", json=body(max_new_tokens=20)))
            await asyncio.sleep(0.4)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            ready = await client.get("/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "draining")
            assert int(ready.headers["retry-after"]) >= 1
            assert (await client.get("/health")).status_code == 200
            for path in ("/generate", "/generate_stream", "/"):
                refused = await client.post(path, json=body())
                assert (refused.status_code, refused.json()["error"]["type"]) == (503, "unavailable")
                assert int(refused.headers["retry-after"]) >= 1
            assert (await running)[-1]["details"]["generated_tokens"] == 40
            # It was let in before: what waits in line is finished too.
            assert (await waiting).status_code == 200
        assert server.wait_exit() == 0


async def test_a_deadline_comes_after_tokens_on_a_stream_and_in_the_queue_too(
    tiny_model: Path, tmp_path: Path
) -> None:
    limits = "request_timeout_s = 0.8\nmax_running_requests = 1"
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.05, extra=limits)) as server:
        async with server.async_client() as client:
            running = asyncio.create_task(events_of(client, body(max_new_tokens=400)))
            await asyncio.sleep(0.3)
            began_s = time.monotonic()
            queued = await client.post("/generate", json=body(max_new_tokens=400))
            # Counted from its arrival, not from its turn.
            assert 0.7 < time.monotonic() - began_s < 1.5
            assert queued.status_code == 504
            *tokens, last = await running
            assert len(tokens) > 3
            assert all(token["generated_text"] is None for token in tokens)
            assert last == {
                "error": {"message": last["error"]["message"], "type": "timeout", "code": 504},
                "error_type": "incomplete_generation",
            }
            assert "0.8 s" in last["error"]["message"]
            assert (await client.post("/generate", json=body(max_new_tokens=2))).status_code == 200


async def test_a_reader_that_stops_reading_loses_its_place_at_the_deadline(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = write_wordy_model(tiny_model, tmp_path)
    limits = "request_timeout_s = 1\nmax_concurrent_requests = 1"
    with running_server(tmp_path, fake_model(model, step_s=0.0005, extra=limits)) as server:
        content = json.dumps(body(LONG_TOKEN, max_new_tokens=1_000)).encode()
        lines = [
            "POST /generate_stream HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {server.token}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        ]
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(server.address)
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
            async with server.async_client() as client:
                assert (await client.post("/generate", json=body())).status_code == 429
                await asyncio.sleep(3.0)
                answer = await client.post("/generate", json=body(max_new_tokens=1))
                assert answer.status_code == 200, answer.text


def test_the_hubs_client_knows_each_failure_for_what_it_is(tiny_model: Path, tmp_path: Path) -> None:
    limits = "request_timeout_s = 0.5\nmax_concurrent_requests = 1"
    with (
        running_server(tmp_path, fake_model(tiny_model, step_s=0.05, extra=limits)) as server,
        InferenceClient(model=server.url, token=server.token, timeout=10) as client,
    ):
        with pytest.raises(IncompleteGenerationError):
            client.text_generation("abc", max_new_tokens=400)
        pieces = []
        with pytest.raises(IncompleteGenerationError):
            pieces += client.text_generation("abc", max_new_tokens=400, stream=True)
        stream = client.text_generation("abc", max_new_tokens=400, stream=True)
        assert next(iter(stream)) == "a"
        with pytest.raises(OverloadedError):
            client.text_generation("abc")
        with pytest.raises(IncompleteGenerationError):
            list(stream)
        with pytest.raises(GenerationError):
            client.text_generation("<|crash|>")


async def test_a_client_that_leaves_the_queue_frees_its_place(tiny_model: Path, tmp_path: Path) -> None:
    limits = "max_concurrent_requests = 2\nmax_running_requests = 1"
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.02, extra=limits)) as server:
        async with server.async_client() as client:
            running = asyncio.create_task(client.post("/generate", json=body(max_new_tokens=60)))
            await asyncio.sleep(0.2)
            waiting = asyncio.create_task(client.post("/generate_stream", json=body(max_new_tokens=60)))
            await asyncio.sleep(0.2)
            assert (await client.post("/generate", json=body())).status_code == 429
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await asyncio.sleep(0.2)
            third = await client.post("/generate", json=body(max_new_tokens=1))
            assert third.status_code == 200
            assert (await running).status_code == 200


@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/"])
async def test_a_client_that_leaves_is_cancelled_in_the_engine(
    tiny_model: Path, tmp_path: Path, path: str
) -> None:
    config = fake_model(tiny_model, step_s=0.01, extra="max_running_requests = 1")
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            leaving = asyncio.create_task(client.post(path, json={**body(max_new_tokens=500)}))
            await asyncio.sleep(0.3)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            # 500 steps would take 5 s.
            async with asyncio.timeout(1.0):
                assert (await client.post("/generate", json=body(max_new_tokens=1))).status_code == 200
        assert "Traceback" not in server.log.read_text()


async def test_a_full_cache_or_a_refusal_in_a_stream_ends_that_stream_alone(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.01)) as server:
        async with server.async_client() as client:
            good = asyncio.create_task(events_of(client, body(max_new_tokens=60)))
            await asyncio.sleep(0.1)
            full = await client.post("/generate_stream", json=body("<|full|>"))
            assert (full.status_code, full.json()["error"]["type"]) == (503, "unavailable")
            assert int(full.headers["retry-after"]) >= 1
            rejected = await client.post("/generate_stream", json=body("<|reject|>"))
            assert rejected.json() == {
                "error": {
                    "message": "internal error; the log has it under this request id",
                    "type": "internal",
                    "code": 500,
                },
                "error_type": "generation",
            }
            assert (await good)[-1]["details"]["finish_reason"] == "length"
            # What the message promises: an operator finds the cause under the id.
            log = server.log.read_text()
            assert rejected.headers["x-request-id"] in log


async def test_probes_answer_while_an_address_is_banned(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, "[auth]\nmax_failures = 2\n" + fake_model(tiny_model)) as server:
        async with server.async_client() as client:
            wrong = {"Authorization": "Bearer wrong"}
            statuses = [(await client.get("/info", headers=wrong)).status_code for _ in range(3)]
            assert statuses == [401, 401, 403]
            refused = await client.post("/generate", json=body())
            assert refused.json()["error"]["type"] == "banned"
            assert 295 <= int(refused.headers["retry-after"]) <= 300
            for path in ("/health", "/ready"):
                assert (await client.get(path, headers=wrong)).status_code == 200


async def test_a_prompt_far_too_long_holds_nobody_up(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        async with server.async_client() as client:
            long = asyncio.create_task(client.post("/generate", json=body("some words " * 300_000)))
            slowest_s = 0.0
            while not long.done():
                began_s = time.monotonic()
                assert (await client.get("/health")).status_code == 200
                slowest_s = max(slowest_s, time.monotonic() - began_s)
                await asyncio.sleep(0.02)
            refused = await long
            assert (refused.status_code, refused.json()["error"]["type"]) == (400, "validation")
            assert "511" in refused.json()["error"]["message"]
            assert slowest_s < 0.5

"""What goes wrong costs only whom it must: bans, limits, deadlines, dead engines, clients that leave."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model


def _body(inputs: str = "abc", **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


async def _stream(client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    async with client.stream("POST", "/generate_stream", json=body) as response:
        if response.status_code != 200:
            yield json.loads(await response.aread())
            return
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


async def _last(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    return [event async for event in _stream(client, body)][-1]


async def _until_answer(client: httpx.AsyncClient, within_s: float) -> float:
    """Seconds until the service answers well again."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < within_s:
        if (await client.post("/generate", json=_body(max_new_tokens=1))).status_code == 200:
            return time.monotonic() - began_s
        await asyncio.sleep(0.05)
    raise AssertionError(f"no good answer within {within_s} s")


def test_five_wrong_tokens_ban_the_address_a_right_token_included(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, "[auth]\nban_s = 1.5\n" + fake_model(tiny_model)) as server:
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [httpx.get(f"{server.url}/info", headers=wrong).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [403]
        banned = httpx.get(f"{server.url}/info", headers=server.headers)
        assert banned.status_code == 403
        assert banned.json()["error"]["type"] == "banned"
        assert 1 <= int(banned.headers["retry-after"]) <= 2
        assert httpx.get(f"{server.url}/health").status_code == 200
        time.sleep(1.6)
        assert httpx.get(f"{server.url}/info", headers=server.headers).status_code == 200


def test_x_forwarded_for_counts_only_from_a_trusted_proxy(tiny_model: Path, tmp_path: Path) -> None:
    def fail(server: RunningServer, address: str) -> int:
        headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": address}
        return httpx.get(f"{server.url}/info", headers=headers).status_code

    with running_server(tmp_path, fake_model(tiny_model)) as server:
        assert [fail(server, f"192.0.2.{host}") for host in range(6)][-1] == 403
    config = '[auth]\ntrusted_proxies = ["127.0.0.0/8"]\n' + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        assert [fail(server, f"192.0.2.{host}") for host in range(6)] == [401] * 6
        assert [fail(server, "192.0.2.99") for _ in range(6)][-1] == 403


async def test_the_101st_request_is_429_and_the_100_end_well(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.1)) as server:
        async with server.async_client() as client:
            body = _body(max_new_tokens=20)
            answers = await asyncio.gather(*(client.post("/generate", json=body) for _ in range(200)))
            statuses = [answer.status_code for answer in answers]
            assert (statuses.count(200), statuses.count(429)) == (100, 100)
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert refused.json()["error"]["type"] == "overloaded"
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.post("/generate", json=_body(max_new_tokens=1))).status_code == 200


async def test_requests_over_the_running_limit_wait_their_turn(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, step_s=0.02, extra="max_running_requests = 1")
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            body = _body(max_new_tokens=5)
            answers = await asyncio.gather(*(client.post("/generate", json=body) for _ in range(5)))
            assert {answer.status_code for answer in answers} == {200}
            queued = sorted(int(answer.headers["x-queue-time"]) for answer in answers)
            assert queued[-1] > queued[0] + 200


async def test_the_deadline_is_504_or_the_streams_last_event(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, step_s=0.05, extra="request_timeout_s = 0.5")
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            answer = await client.post("/generate", json=_body(max_new_tokens=400))
            assert answer.status_code == 504
            assert answer.json()["error"]["type"] == "timeout"
            last = await _last(client, _body(max_new_tokens=400))
            assert last["error"]["code"] == 504
            assert last["error_type"] == "incomplete_generation"
            assert (await client.post("/generate", json=_body(max_new_tokens=2))).status_code == 200


@pytest.mark.parametrize("endpoint", ["/generate", "/generate_stream"])
async def test_a_client_that_leaves_frees_its_place(tiny_model: Path, tmp_path: Path, endpoint: str) -> None:
    config = fake_model(tiny_model, step_s=0.01, extra="max_concurrent_requests = 1")
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            leaving = asyncio.create_task(client.post(endpoint, json=_body(max_new_tokens=400)))
            await asyncio.sleep(0.3)
            assert (await client.post("/generate", json=_body())).status_code == 429
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            assert await _until_answer(client, within_s=1.0) < 1.0


@pytest.mark.parametrize("fault", ["poison", "crash"])
async def test_a_dead_engine_ends_20_streams_within_a_second_and_comes_back(
    tiny_model: Path, tmp_path: Path, fault: str
) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.02)) as server:
        async with server.async_client() as client:
            streams = [asyncio.create_task(_last(client, _body(max_new_tokens=400))) for _ in range(20)]
            await asyncio.sleep(0.5)
            assert not any(stream.done() for stream in streams)
            guilty = await client.post("/generate", json=_body(f"<|{fault}|>"))
            async with asyncio.timeout(1.0):
                ends = await asyncio.gather(*streams)
            assert guilty.status_code == 503
            assert [end["error"]["type"] for end in ends] == ["unavailable"] * 20
            health = await client.get("/health")
            assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
            refused = await client.post("/generate", json=_body())
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            await _until_answer(client, within_s=10.0)
            assert (await client.get("/health")).status_code == 200


async def test_what_one_request_breaks_for_itself_costs_nobody_else(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.01)) as server:
        async with server.async_client() as client:
            good = asyncio.create_task(client.post("/generate", json=_body(max_new_tokens=100)))
            await asyncio.sleep(0.1)
            full = await client.post("/generate", json=_body("<|full|>"))
            rejected = await client.post("/generate", json=_body("<|reject|>"))
            assert (full.status_code, rejected.status_code) == (503, 500)
            assert "scripted refusal" not in rejected.text
            assert "scripted refusal" in server.log.read_text()
            assert (await good).status_code == 200


async def test_sigterm_lets_open_requests_finish_and_refuses_new_ones(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.02)) as server:
        engine_pid = server.engine_pid()
        async with server.async_client() as client:
            stream = asyncio.create_task(_last(client, _body(max_new_tokens=100)))
            await asyncio.sleep(0.4)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            refused = await client.post("/generate", json=_body())
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.get("/ready")).status_code == 503
            assert (await stream)["details"]["generated_tokens"] == 100
        assert server.wait_exit() == 0
        assert not psutil.pid_exists(engine_pid)
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)])
async def test_a_second_sigterm_or_ctrl_c_ends_at_once(
    tiny_model: Path, tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.1)) as server:
        engine_pid = server.engine_pid()
        async with server.async_client() as client:
            stream = asyncio.create_task(_last(client, _body(max_new_tokens=400)))
            await asyncio.sleep(0.4)
            for number in signals:
                server.process.send_signal(number)
                await asyncio.sleep(0.2)
            assert (await stream)["error"]["type"] == "unavailable"
        assert server.wait_exit(3.0) == 0
        assert not psutil.pid_exists(engine_pid)
        assert "Traceback" not in server.log.read_text()


async def test_a_drain_that_takes_too_long_is_cut(tiny_model: Path, tmp_path: Path) -> None:
    config = "drain_timeout_s = 0.5\n" + fake_model(tiny_model, step_s=0.1)
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            stream = asyncio.create_task(_last(client, _body(max_new_tokens=400)))
            await asyncio.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            assert (await stream)["error"]["type"] == "unavailable"
        assert server.wait_exit(5.0) == 0


def test_kill_9_of_the_server_leaves_no_engine_behind(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        engine_pid = server.engine_pid()
        os.kill(server.process.pid, signal.SIGKILL)
        server.wait_exit()
        deadline = time.monotonic() + 3.0
        while psutil.pid_exists(engine_pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not psutil.pid_exists(engine_pid)


async def test_while_the_model_loads_the_service_says_so(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model).replace("properties = {", 'properties = { load_s = "2",')
    with running_server(tmp_path, config, is_ready=False) as server:
        async with server.async_client() as client:
            for _ in range(100):
                try:
                    health = await client.get("/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
            assert health.status_code == 503
            assert health.json()["models"] == {"tiny": "starting"}
            assert (await client.get("/ready")).status_code == 503
            assert (await client.post("/generate", json=_body())).status_code == 503
        server.wait_ready()


async def test_secrets_and_prompts_stay_out_of_the_log(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        async with server.async_client() as client:
            assert (await client.post("/generate", json=_body("very-private-text"))).status_code == 200
            await client.post("/generate", json=_body("very-private-text", max_new_tokens=0))
        log = server.log.read_text()
        assert '"status": 200' in log
        assert "very-private-text" not in log
        assert server.token not in log

"""What a token and an address may take of a running service, and that what they took comes back."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.auth.tokens import TokenStore
from tests.support.exposition import Exposition
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

PLACES = 3


def body(**parameters: Any) -> dict[str, Any]:
    return {"inputs": "abc", "parameters": parameters}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ask(server: RunningServer, token: str, path: str = "/info", **headers: str) -> httpx.Response:
    return httpx.get(server.url + path, headers=bearer(token) | headers)


def assert_overloaded(response: httpx.Response, word: str, *, retry_after_s: range) -> None:
    assert response.status_code == 429
    assert response.json()["error"]["type"] == "overloaded"
    assert word in response.json()["error"]["message"]
    assert int(response.headers["retry-after"]) in retry_after_s


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    """Their texts by name; `old` and `new` are the secrets of one token."""
    store = TokenStore(folder / "tokens.json")
    texts = {
        "slow": store.create("slow", rate="3/m", burst=3),
        "fast": store.create("fast", rate="1000/s"),
        "counted": store.create("counted", rate="1/m", burst=1),
        "old": store.create("rotated", rate="4/m", burst=4),
        "single": store.create("single", rate="1000/s", max_concurrent=1),
    }
    return texts | {"new": store.rotate("rotated", grace=timedelta(hours=1))}


@pytest.fixture(scope="module")
def server(folder: Path, tokens: dict[str, str], tiny_model: Path) -> Iterator[RunningServer]:
    """Every token may make five requests a minute; behind 127.0.0.1 is a proxy."""
    config = '[limits]\ntoken_rate = "5/m"\ntoken_burst = 5\n[auth]\ntrusted_proxies = ["127.0.0.1"]\n'
    config += fake_model(tiny_model, step_s=0.01)
    with running_server(folder, config) as running:
        yield running


def test_a_tokens_requests_over_its_rate_are_429_with_the_time_to_wait(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    token, fast = tokens["slow"], tokens["fast"]
    assert [ask(server, token).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert_overloaded(
        ask(server, token), "this token may make 3 requests in 60 s", retry_after_s=range(50, 61)
    )
    assert {ask(server, fast).status_code for _ in range(20)} == {200}


def test_a_rate_counts_requests_of_any_address_and_both_secrets_of_a_token(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    old, new = tokens["old"], tokens["new"]
    statuses = [
        ask(server, token, **{"x-forwarded-for": f"198.51.100.{number}"}).status_code
        for number, token in enumerate([old, new, old, new, old, new])
    ]
    assert statuses == [200, 200, 200, 200, 429, 429]


def test_the_environments_token_has_the_settings_rate_and_probes_and_files_are_free(
    server: RunningServer,
) -> None:
    free = ("/health", "/ready", "/ping", "/metrics", "/", "/ui", "/ui/app.js")
    for path in free:
        assert ask(server, server.token, path).status_code == 200
    assert [ask(server, server.token).status_code for _ in range(6)] == [200] * 5 + [429]
    for path in free:
        assert ask(server, server.token, path).status_code == 200


def test_what_was_refused_is_counted_by_reason(server: RunningServer, tokens: dict[str, str]) -> None:
    token = tokens["counted"]
    earlier = Exposition.of(server.url)
    assert [ask(server, token).status_code for _ in range(3)] == [200, 429, 429]
    now = Exposition.of(server.url).since(earlier)
    assert now.value("tiber_authentication_failures_total", reason="rate_limited") == 2
    assert now.value("tiber_rejected_requests_total", reason="overloaded") == 2


@pytest.mark.parametrize(
    ("header", "line"),
    [("X-Forwarded-For", "{}"), ("X-Forwarded-For", "1.1.1.1, {}"), ("Forwarded", "for={};proto=https")],
)
def test_an_addresss_rate_is_the_clients_own_behind_a_trusted_proxy(
    tiny_model: Path, tmp_path: Path, header: str, line: str
) -> None:
    config = '[limits]\naddress_rate = "3/m"\naddress_burst = 3\n'
    config += f'[auth]\ntrusted_proxies = ["127.0.0.1"]\nforwarding_header = "{header}"\n'
    with running_server(tmp_path, config + fake_model(tiny_model)) as server:
        for client in ("198.51.100.1", "198.51.100.2"):
            forwarded = {header: line.format(client)}
            statuses = [ask(server, server.token, **forwarded).status_code for _ in range(4)]
            assert statuses == [200, 200, 200, 429]
            assert_overloaded(
                ask(server, server.token, **forwarded),
                "this address may make 3 requests in 60 s",
                retry_after_s=range(50, 61),
            )
            # Whatever the token: nothing is told of it.
            assert httpx.get(f"{server.url}/info", headers=forwarded).status_code == 429


def test_a_rate_is_let_go_of_as_time_passes(tiny_model: Path, tmp_path: Path) -> None:
    config = '[limits]\naddress_rate = "5/s"\naddress_burst = 3\n' + fake_model(tiny_model)
    with running_server(tmp_path, config) as server, server.client() as client:
        statuses = [client.get("/info").status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        time.sleep(0.7)
        assert client.get("/info").status_code == 200


@pytest.mark.parametrize(
    "setting", ["address_burst = 3", "token_burst = 3", 'token_rate = "1/s"\ntoken_burst = 1000000']
)
def test_a_limit_that_cannot_be_held_is_refused_at_start(
    tiny_model: Path, tmp_path: Path, setting: str
) -> None:
    config = f"[limits]\n{setting}\n" + fake_model(tiny_model)
    with running_server(tmp_path, config, is_ready=False) as server:
        assert server.wait_exit() == 2
        assert setting.split("\n")[-1].split(" ")[0] in server.log.read_text()


@pytest.fixture(scope="module")
def slow_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Every token may have a few requests open; an answer takes seconds."""
    config = f"[limits]\ntoken_concurrency = {PLACES}\n"
    config += fake_model(tiny_model, step_s=0.01, extra="request_timeout_s = 1.5")
    with running_server(tmp_path_factory.mktemp("concurrency"), config) as running:
        yield running


@contextlib.asynccontextmanager
async def stream(client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """A stream after its first event, or a refusal."""
    async with client.stream("POST", "/generate_stream", json=body(max_new_tokens=400)) as response:
        # Held on to: without a reader the connection is closed.
        chunks = response.aiter_bytes()
        await anext(chunks)
        yield response


async def places(server: RunningServer) -> int:
    """How many streams can be open at once."""
    async with server.async_client() as client, contextlib.AsyncExitStack() as streams:
        for count in range(PLACES + 2):
            response = await streams.enter_async_context(stream(client))
            if response.status_code == 429:
                return count
    return PLACES + 2


async def wait_for_places(server: RunningServer) -> None:
    """A client that left is noticed soon, not at once."""
    found = -1
    for _ in range(60):
        found = await places(server)
        if found == PLACES:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{found} places instead of {PLACES}")


async def test_a_request_more_than_a_token_may_have_open_is_429_whatever_it_asks(
    slow_server: RunningServer,
) -> None:
    await wait_for_places(slow_server)
    async with slow_server.async_client() as client, contextlib.AsyncExitStack() as streams:
        for _ in range(PLACES):
            assert (await streams.enter_async_context(stream(client))).status_code == 200
        for request in (client.get("/info"), client.post("/generate", json=body(max_new_tokens=1))):
            assert_overloaded(await request, f"may have: {PLACES}", retry_after_s=range(1, 2))
        assert (await client.get("/health")).status_code == 200


async def test_streams_one_after_the_other_never_are_one_too_many(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    head = f"POST /generate_stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tokens['single']}\r\n"
    content = b'{"inputs": "a", "parameters": {"max_new_tokens": 1}}'
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n".encode()
    reader, writer = await asyncio.open_connection(*server.address)
    async with asyncio.timeout(30):
        # In one go: each is begun as soon as the one before has ended.
        writer.write(8 * (request + b"\r\n" + content) + request + b"Connection: close\r\n\r\n" + content)
        received = await reader.read(-1)
    writer.close()
    assert received.count(b"HTTP/1.1 200") == 9


async def test_a_tokens_own_number_wins_and_others_are_not_affected(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    async with (
        httpx.AsyncClient(base_url=server.url, headers=bearer(tokens["single"])) as single,
        httpx.AsyncClient(base_url=server.url, headers=bearer(tokens["fast"])) as other,
        stream(single) as response,
    ):
        assert response.status_code == 200
        assert (await single.get("/info")).status_code == 429
        assert (await other.get("/info")).status_code == 200


async def leave_in_the_middle(server: RunningServer) -> None:
    async with server.async_client() as client, stream(client):
        pass


async def run_out_of_time(server: RunningServer) -> None:
    async with server.async_client() as client:
        response = await client.post("/generate", json=body(max_new_tokens=400))
    assert response.status_code == 504


async def leave_before_the_answer(server: RunningServer) -> None:
    async with server.async_client(timeout_s=0.1) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/generate", json=body(max_new_tokens=400))


async def leave_in_the_body(server: RunningServer) -> None:
    _, writer = await asyncio.open_connection(*server.address)
    head = f"POST /generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def send_a_bad_body(server: RunningServer) -> None:
    async with server.async_client() as client:
        assert (await client.post("/generate", content=b"{")).status_code == 400


async def ask_for_too_much(server: RunningServer) -> None:
    async with server.async_client() as client:
        assert (await client.post("/generate", json=body(max_new_tokens=10**6))).status_code == 400


async def meet_a_failing_step(server: RunningServer) -> None:
    async with server.async_client() as client:
        response = await client.post("/generate", json={"inputs": "a<|full|>"})
        assert response.status_code == 503


async def kill_the_engine(server: RunningServer) -> None:
    async with server.async_client() as client, stream(client) as response:
        assert response.status_code == 200
        os.kill(server.engine_pid(), signal.SIGKILL)
    server.wait_ready()


@pytest.mark.parametrize(
    "end",
    [
        leave_in_the_middle,
        run_out_of_time,
        leave_before_the_answer,
        leave_in_the_body,
        send_a_bad_body,
        ask_for_too_much,
        meet_a_failing_step,
        kill_the_engine,
    ],
    ids=lambda end: end.__name__,
)
async def test_however_a_request_ends_its_place_comes_back(slow_server: RunningServer, end: Any) -> None:
    await wait_for_places(slow_server)
    await end(slow_server)
    await wait_for_places(slow_server)

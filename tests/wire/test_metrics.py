"""What /metrics says of requests that ended in every possible way, and who may read it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.exposition import Exposition
from tests.support.server import RunningServer, running_server
from tests.support.tiny import END, fake_model

REQUESTS = "tiber_requests_total"


def body(inputs: str = "abc", **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


def until(server: RunningServer, holds: Callable[[Exposition], bool], earlier: Exposition) -> Exposition:
    """Wait for metrics: requests are counted at their end, which may come after their client's.

    Counters give what was added since `earlier`.
    """
    deadline = time.monotonic() + 5
    while not holds(exposition := Exposition.of(server.url).since(earlier)):
        assert time.monotonic() < deadline, outcomes(exposition)
        time.sleep(0.05)
    return exposition


def outcomes(exposition: Exposition) -> dict[str, float]:
    """How many requests ended how; those of which there were none are left out."""
    words = exposition.label_values(REQUESTS)["outcome"]
    counts = {word: exposition.value(REQUESTS, model="tiny", outcome=word) for word in words}
    return {word: count for word, count in counts.items() if count}


@pytest.fixture(scope="module")
def shared_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    limits = "request_timeout_s = 3\nmax_concurrent_requests = 4\nmax_running_requests = 2"
    config = fake_model(tiny_model, step_s=0.01, extra=limits)
    with running_server(tmp_path_factory.mktemp("metrics"), config) as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    """A server that is well, whatever the test before did to its engine."""
    shared_server.wait_ready()
    return shared_server


@pytest.fixture
def earlier(server: RunningServer) -> Exposition:
    return Exposition.of(server.url)


async def stay_in_stream(server: RunningServer, begun: asyncio.Barrier, leave: asyncio.Event) -> None:
    """Begin a stream; leave it in its middle."""
    async with (
        server.async_client() as client,
        client.stream("POST", "/generate_stream", json=body(max_new_tokens=500)) as response,
    ):
        # Held on to: without a reader the connection is closed.
        chunks = response.aiter_bytes()
        await anext(chunks)
        await begun.wait()
        await leave.wait()


@contextlib.asynccontextmanager
async def streams(server: RunningServer, count: int) -> AsyncIterator[None]:
    """Requests that have had their first token."""
    leave, begun = asyncio.Event(), asyncio.Barrier(count + 1)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(stay_in_stream(server, begun, leave))
        await begun.wait()
        yield
        leave.set()


def test_each_request_has_exactly_one_outcome(server: RunningServer, earlier: Exposition) -> None:
    with server.client() as client:
        assert client.post("/generate", json=body(max_new_tokens=5)).status_code == 200
        assert client.post("/generate", json=body(f"abc{END}")).status_code == 200
        assert client.post("/generate", json=body("abc", stop=["c"])).status_code == 200
        assert client.post("/generate", json=body(max_new_tokens=100_000)).status_code == 400
        assert client.post("/generate", json=body("<|full|>")).status_code == 503
        assert client.post("/generate", json=body("<|reject|>")).status_code == 500
        assert client.post("/generate", json=body(max_new_tokens=400)).status_code == 504
        with client.stream("POST", "/generate_stream", json=body(max_new_tokens=400)) as response:
            next(response.iter_bytes())
        assert client.post("/generate", json=body("a<|poison|>")).status_code == 503
    expected = {
        "length": 1,
        "eos_token": 1,
        "stop_sequence": 1,
        "validation": 1,
        "unavailable": 2,
        "internal": 1,
        "timeout": 1,
        "cancelled": 1,
    }
    exposition = until(server, lambda now: sum(outcomes(now).values()) >= sum(expected.values()), earlier)
    assert outcomes(exposition) == expected


def test_a_plain_request_whose_client_leaves_counts_as_cancelled(
    server: RunningServer, earlier: Exposition
) -> None:
    with pytest.raises(httpx.ReadTimeout), server.client(timeout_s=0.3) as client:
        client.post("/generate", json=body(max_new_tokens=400))
    exposition = until(server, lambda now: "cancelled" in outcomes(now), earlier)
    assert outcomes(exposition) == {"cancelled": 1}
    assert exposition.value("tiber_generated_tokens_total", model="tiny") > 0
    assert exposition.value("tiber_request_duration_seconds_count", model="tiny") == 0


def test_tokens_and_times_of_an_answer_are_those_it_had(server: RunningServer, earlier: Exposition) -> None:
    with server.client() as client:
        response = client.post("/generate", json=body("abcd", max_new_tokens=11))
    now = until(server, lambda now: "length" in outcomes(now), earlier)
    assert now.value("tiber_prompt_tokens_total", model="tiny") == 4
    assert now.value("tiber_generated_tokens_total", model="tiny") == 11
    assert now.value("tiber_request_prompt_tokens_sum", model="tiny") == 4
    assert now.value("tiber_request_generated_tokens_sum", model="tiny") == 11
    assert now.value("tiber_request_max_new_tokens_sum", model="tiny") == 11
    assert now.value("tiber_time_to_first_token_seconds_count", model="tiny") == 1
    inter_token_s = now.value("tiber_inter_token_latency_seconds_sum", model="tiny")
    total_s = now.value("tiber_request_duration_seconds_sum", model="tiny")
    first_s = now.value("tiber_time_to_first_token_seconds_sum", model="tiny")
    # Ten pauses of a step each.
    assert 10 * 0.01 <= inter_token_s < total_s
    assert first_s + inter_token_s == pytest.approx(total_s, rel=0.05)
    mean_s = now.value("tiber_time_per_output_token_seconds_sum", model="tiny")
    assert mean_s == pytest.approx(inter_token_s / 10, rel=0.1)
    assert 1000 * total_s == pytest.approx(float(response.headers["x-total-time"]), abs=1)
    per_token_ms = 1000 * now.value("tiber_request_mean_time_per_token_seconds_sum", model="tiny")
    assert per_token_ms == pytest.approx(float(response.headers["x-time-per-token"]), abs=1)


async def test_gauges_show_who_runs_who_waits_and_the_cache(
    server: RunningServer, earlier: Exposition
) -> None:
    async with streams(server, 2), asyncio.timeout(5), server.async_client() as client:
        # They get no event before they run.
        waiting = [
            asyncio.create_task(client.post("/generate", json=body(max_new_tokens=300))) for _ in range(2)
        ]
        now = Exposition((await client.get("/metrics")).text)
        while now.value("tiber_waiting_requests", model="tiny") < 2:
            await asyncio.sleep(0.02)
            now = Exposition((await client.get("/metrics")).text)
        assert now.value("tiber_running_requests", model="tiny") == 2
        assert now.value("tiber_kv_cache_usage_ratio", model="tiny") == 1.0
        assert now.value("tgi_batch_current_size", model="tiny") == 2
        assert now.value("tgi_queue_size", model="tiny") == 2
        assert (await client.post("/generate", json=body())).status_code == 429
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    now = until(server, lambda now: outcomes(now).get("cancelled") == 4, earlier)
    assert outcomes(now) == {"cancelled": 4, "overloaded": 1}
    now = until(server, lambda now: now.value("tiber_running_requests", model="tiny") == 0, earlier)
    assert now.value("tiber_waiting_requests", model="tiny") == 0
    assert now.value("tiber_kv_cache_usage_ratio", model="tiny") == 0


def test_a_killed_engine_is_seen_not_ready_then_restarted(server: RunningServer, earlier: Exposition) -> None:
    assert Exposition.of(server.url).value("tiber_engine_ready", model="tiny") == 1
    os.kill(server.engine_pid(), signal.SIGKILL)
    now = until(server, lambda now: now.value("tiber_engine_restarts_total", model="tiny") == 1, earlier)
    assert now.value("tiber_engine_ready", model="tiny") == 0
    until(server, lambda now: now.value("tiber_engine_ready", model="tiny") == 1, earlier)


def test_refusals_are_counted_by_reason_and_a_ban_once(tiny_model: Path, tmp_path: Path) -> None:
    config = "max_body_bytes = 1000\n[auth]\nban_s = 1.5\n" + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        with server.client() as client:
            assert client.post("/generate", content=b"x" * 2000).status_code == 413
            assert client.get("/generate").status_code == 405
            assert client.get("/no/such/path").status_code == 404
            assert client.post("/generate", content=b"{").status_code == 400
        assert httpx.get(f"{server.url}/info").status_code == 401
        assert httpx.get(f"{server.url}/info", headers={"Authorization": "nonsense"}).status_code == 401
        for status in (401, 401, 401, 401, 403, 403):
            wrong = {"Authorization": "Bearer wrong"}
            assert httpx.get(f"{server.url}/info", headers=wrong).status_code == status
        now = Exposition.of(server.url)
        rejected = now.label_values("tiber_rejected_requests_total")["reason"]
        assert {reason: now.value("tiber_rejected_requests_total", reason=reason) for reason in rejected} == {
            "validation": 1,
            "unauthorized": 6,
            "banned": 2,
            "forbidden": 0,
            "not_found": 1,
            "method_not_allowed": 1,
            "too_large": 1,
            "overloaded": 0,
            "unavailable": 0,
        }
        failed = now.label_values("tiber_authentication_failures_total")["reason"]
        assert {
            reason: now.value("tiber_authentication_failures_total", reason=reason) for reason in failed
        } == dict.fromkeys(failed, 0) | {"no_token": 1, "malformed": 1, "wrong_token": 4, "banned": 2}
        assert now.value("tiber_bans_total") == 1
        assert now.value("tiber_banned_addresses") == 1
        until(server, lambda later: later.value("tiber_banned_addresses") == 0, now)


def test_what_clients_send_makes_no_new_series(server: RunningServer) -> None:
    def series(attempt: str) -> set[Any]:
        with server.client() as client:
            for path in (f"/{attempt}", f"/{attempt}/generate", f"/tiny/{attempt}"):
                assert client.post(path, json=body()).status_code == 404
            request = body(max_new_tokens=2) | {"model": attempt}
            assert client.post("/generate", json=request).status_code == 200
            client.request(attempt.upper(), "/generate")
        httpx.get(f"{server.url}/info", headers={"Authorization": f"Bearer {attempt}"})
        httpx.get(f"{server.url}/metrics")
        return Exposition.of(server.url).series()

    assert series("first") == series("second")


def test_tgis_names_tell_the_same(server: RunningServer, earlier: Exposition) -> None:
    with server.client() as client:
        client.post("/generate", json=body("abcd", max_new_tokens=6))
        client.post("/generate", json=body("<|full|>"))
        client.post("/generate", json=body(max_new_tokens=100_000))
    now = until(server, lambda now: now.value("tgi_request_count", model="tiny") == 3, earlier)
    assert now.value("tgi_request_success", model="tiny") == 1
    assert now.value("tgi_request_failure", model="tiny", err="generation") == 1
    assert now.value("tgi_request_failure", model="tiny", err="validation") == 1
    assert now.value("tgi_request_generated_tokens_sum", model="tiny") == 6
    assert now.value("tgi_request_input_length_sum", model="tiny") == 5
    assert now.value("tgi_request_duration_count", model="tiny") == 1
    assert now.value("tgi_request_duration_bucket", model="tiny", le="+Inf") == 1


def test_by_default_monitoring_needs_no_token_and_is_never_banned(fake_server: RunningServer) -> None:
    assert Exposition.of(fake_server.url, {"Authorization": "Bearer wrong"}).sample_names()


def test_metrics_can_ask_for_a_token_and_then_count_wrong_ones(tiny_model: Path, tmp_path: Path) -> None:
    config = "metrics_auth = true\n[auth]\nmax_failures = 2\n" + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        assert Exposition.of(server.url, server.headers).sample_names()
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        for status in (401, 401, 403):
            wrong = {"Authorization": "Bearer wrong"}
            assert httpx.get(f"{server.url}/metrics", headers=wrong).status_code == status
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_metrics_can_be_switched_off(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, "metrics = false\n" + fake_model(tiny_model)) as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 404
        with server.client() as client:
            assert client.post("/generate", json=body()).status_code == 200

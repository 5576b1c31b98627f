"""Services that share a real Redis, and what they do without it."""

import asyncio
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.redis import RedisServer, running_redis
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

CLIENTS_OF_EACH_KIND = 8
STAGE_S = 2.0
LONGEST_S = 2.0
WELL_BEHAVED = "198.51.100.1"


def ask(server: RunningServer, address: str, token: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {token or server.token}", "X-Forwarded-For": address}
    return httpx.get(f"{server.url}/info", headers=headers).status_code


def metrics_of(server: RunningServer) -> str:
    return httpx.get(f"{server.url}/metrics").text


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path, password="hush-hush") as server:
        yield server


def settings(redis: RedisServer, model: Path, timeout_s: float = 0.05) -> str:
    return (
        f'[auth]\nredis_url = "{redis.url}"\nredis_timeout_s = {timeout_s}\n'
        f'trusted_proxies = ["127.0.0.0/8"]\n{fake_model(model)}'
    )


def test_three_failures_here_and_two_there_ban_in_both_and_after_both_restarted(
    redis: RedisServer, tiny_model: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    # A busy machine may take longer than 50 ms, and this is not about that.
    config = settings(redis, tiny_model, timeout_s=1)
    with running_server(folders[0], config) as one, running_server(folders[1], config) as other:
        assert [ask(one, "192.0.2.7", "guess") for _ in range(3)] == [401] * 3
        assert [ask(other, "192.0.2.7", "guess") for _ in range(2)] == [401] * 2
        assert ask(one, "192.0.2.7") == ask(other, "192.0.2.7") == 403
        assert ask(one, "192.0.2.8") == ask(other, "192.0.2.8") == 200
        assert ask(one, "192.0.2.8", "guess") == 401
    with running_server(folders[0], config) as one, running_server(folders[1], config) as other:
        assert ask(one, "192.0.2.7") == ask(other, "192.0.2.7") == 403
        assert [ask(other, "192.0.2.8", "guess") for _ in range(5)] == [401] * 4 + [403]
        assert ask(one, "192.0.2.8") == 403
        for server in (one, other):
            assert "hush" not in server.log.read_text()


def test_a_token_has_one_rate_over_all_services(redis: RedisServer, tiny_model: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    limits = '[limits]\ntoken_rate = "6/h"\ntoken_burst = 6\n'
    config = limits + settings(redis, tiny_model, timeout_s=1)
    with running_server(folders[0], config) as one, running_server(folders[1], config) as other:
        assert [ask(server, WELL_BEHAVED) for server in (one, other) * 4] == [200] * 6 + [429] * 2


@dataclass(slots=True)
class Load:
    """Requests with right and wrong tokens, each kind from a few clients, stage by stage."""

    server: RunningServer
    is_over: bool = False
    stage: str = ""
    good: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    bad: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    async def run(self, stages: dict[str, Callable[[], object]]) -> None:
        # Each stage has its own, or all would be banned by the end of the first.
        guessers = itertools.cycle(range(20))
        addresses = (f"203.0.{len(self.bad)}.{next(guessers)}" for _ in itertools.count())
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS_OF_EACH_KIND):
                group.create_task(self._ask(self.good, self.server.token, itertools.repeat(WELL_BEHAVED)))
                group.create_task(self._ask(self.bad, "guess", addresses))
            for self.stage, begin in stages.items():
                begin()
                await asyncio.sleep(STAGE_S)
            self.is_over = True

    async def _ask(
        self, answers: dict[str, list[tuple[int, float]]], token: str, addresses: Iterator[str]
    ) -> None:
        async with self.server.async_client() as client:
            while not self.is_over:
                headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": next(addresses)}
                stage, began_s = self.stage, time.monotonic()
                status = (await client.get("/info", headers=headers)).status_code
                answers.setdefault(stage, []).append((status, time.monotonic() - began_s))


def p99_ms(answers: list[tuple[int, float]]) -> float:
    durations = sorted(duration_s for _, duration_s in answers)
    return 1000 * durations[math.ceil(0.99 * len(durations)) - 1]


@pytest.mark.parametrize("ending", ["killed", "frozen"])
async def test_a_redis_that_ends_under_load_hangs_nothing_and_lets_nobody_in(
    redis: RedisServer, tiny_model: Path, tmp_path: Path, ending: str
) -> None:
    leave, come_back = (redis.kill, redis.start) if ending == "killed" else (redis.freeze, redis.thaw)
    with running_server(tmp_path, settings(redis, tiny_model)) as server:
        load = Load(server)
        await load.run({"there": lambda: None, "away": leave, "back": come_back})
        metrics = metrics_of(server)
    for stage in ("there", "away", "back"):
        good, bad = load.good[stage], load.bad[stage]
        sys.stdout.write(
            f"\nRedis {stage} ({ending}): {len(good)} good and {len(bad)} bad requests, p99 of the good "
            f"{p99_ms(good):.1f} ms, longest of all {1000 * max(s for _, s in good + bad):.1f} ms"
        )
        assert {status for status, _ in good} == {200}
        assert {status for status, _ in bad} <= {401, 403}
        assert max(duration_s for _, duration_s in good + bad) < LONGEST_S
    assert 403 in {status for status, _ in load.bad["away"]}, "guessing became free"
    assert "tiber_auth_store_errors_total 0.0" not in metrics
    changes = [line for line in server.log.read_text().splitlines() if '"event": "redis_' in line]
    assert 2 <= len(changes) <= 20, "a line for each change, none for each request"
    assert any("redis_found" in change for change in changes)
    assert not any("request_id" in change for change in changes), "they are no request's"


def test_a_service_without_its_redis_starts_serves_and_bans(
    redis: RedisServer, tiny_model: Path, tmp_path: Path
) -> None:
    redis.kill()
    with running_server(tmp_path, settings(redis, tiny_model)) as server:
        assert ask(server, WELL_BEHAVED) == 200
        assert [ask(server, "192.0.2.7", "guess") for _ in range(6)] == [401] * 5 + [403]
        assert "tiber_auth_store_up 0.0" in metrics_of(server)
        redis.start()
        deadline = time.monotonic() + 5
        while "tiber_auth_store_up 1.0" not in metrics_of(server):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert ask(server, "192.0.2.7") == 403
        with redis.client() as client:
            assert client.zrange("tiber:bans", 0, -1) == ["192.0.2.7"]

"""The Redis store's bounds, and what holds while Redis is away; its behaviour is in the contract suite."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.auth.failures import FOREVER
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import MemoryRateLimiter
from service.auth.redis_bans import RedisBanList
from service.auth.redis_client import redis_client
from service.auth.redis_failures import RedisFailureStore
from service.auth.redis_link import RedisLink
from service.auth.redis_rates import RedisRateLimiter
from service.errors import ConfigError
from service.rate import RateLimit
from tests.support.redis import RedisServer, Watched, running_redis

BANS = BanPolicy(max_failures=1, ban_s=30, reset_s=100)
COUNTS = BanPolicy(max_failures=3, ban_s=30, reset_s=100)
TIMEOUT_S = 0.2
# What the event loop of a busy machine may add.
SLACK_S = 0.3


class Service:
    """The stores of one service, with its own memory."""

    def __init__(self, server: RedisServer, *, max_addresses: int = 1000) -> None:
        self.watched = Watched()
        self.link = RedisLink(
            redis_client(server.url), timeout_s=TIMEOUT_S, observer=self.watched, retry_s=0.05
        )
        self.failures = RedisFailureStore(
            self.link, local=MemoryFailureStore(), max_addresses=max_addresses, clock=lambda: 0.0
        )
        self.rates = RedisRateLimiter(self.link, local=MemoryRateLimiter())

    async def fail(self, *addresses: str, policy: BanPolicy = BANS, now: float = 0.0) -> list[float]:
        return [await self.failures.add_failure(one, policy=policy, now=now) for one in addresses]

    async def banned(self, addresses: str, now: float = 1.0) -> str:
        """Which of these one-letter addresses are banned."""
        left = [(one, await self.failures.ban_left_s(one, now=now)) for one in addresses]
        return "".join(one for one, left_s in left if left_s > 0)

    async def until(self, is_up: bool) -> None:
        async with asyncio.timeout(10):
            while not self.watched.changes or self.watched.changes[-1] is not is_up:  # noqa: ASYNC110 - of another's state
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(server: RedisServer, *, max_addresses: int = 1000) -> AsyncGenerator[Service, None]:
    service = Service(server, max_addresses=max_addresses)
    task = asyncio.create_task(service.failures.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def ban_list(server: RedisServer) -> AsyncGenerator[RedisBanList, None]:
    client = redis_client(server.url)
    try:
        yield RedisBanList(client, max_bans=1000)
    finally:
        await client.aclose()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


async def test_failures_of_two_services_add_up_and_their_ban_is_one(server: RedisServer) -> None:
    async with running(server) as one, running(server) as other:
        await one.fail("a", "a", policy=COUNTS)
        await other.fail("a", policy=COUNTS)
        assert await one.banned("ab") == await other.banned("ab") == "a"
    async with running(server) as later:
        assert await later.banned("ab") == "a"


async def test_counts_and_bans_are_bounded_and_what_ends_first_gives_way(server: RedisServer) -> None:
    async with running(server, max_addresses=10) as service:
        async with ban_list(server) as bans:
            await bans.ban("operators", until=FOREVER, now=0, reason="")
        for number in range(100):
            await service.fail(f"count{number}", policy=COUNTS, now=number / 100)
            await service.fail(f"ban{number}", now=number / 100)
        with server.client() as client:
            assert client.zcard("tiber:bans") == client.zcard("tiber:failing") == 10
            assert len(client.keys("tiber:failures:*")) == len(client.keys("tiber:ban:*")) == 10
        assert await service.failures.ban_left_s("operators", now=1) > 0
        assert await service.failures.ban_left_s("ban99", now=1) > 0
        assert await service.failures.ban_left_s("ban0", now=1) == 0


async def test_every_key_is_named_after_the_service_and_goes_by_itself(server: RedisServer) -> None:
    async with running(server) as service:
        await service.fail("banned")
        await service.fail("counted", policy=COUNTS)
        await service.rates.hit("token:a", RateLimit(burst=2, window_s=10), now=0)
        with server.client() as client:
            left_s = {key: client.ttl(key) for key in client.scan_iter() if key != "tiber:probe"}
    assert left_s == {
        "tiber:ban:banned": pytest.approx(31, abs=2),
        "tiber:bans": pytest.approx(31, abs=2),
        "tiber:failures:counted": pytest.approx(101, abs=2),
        "tiber:failing": pytest.approx(101, abs=2),
        "tiber:rate:token:a": pytest.approx(11, abs=2),
    }


@pytest.mark.parametrize("ending", ["killed", "frozen", "full"])
async def test_while_redis_is_away_known_bans_hold_and_failures_count_here(
    server: RedisServer, ending: str
) -> None:
    async with running(server) as service, running(server) as other:
        await service.fail("o")
        await other.fail("t")
        await other.fail("u")
        assert await service.banned("t") == "t"
        end(server, ending)
        began_s = time.monotonic()
        await service.fail("n", "n", policy=COUNTS)
        assert time.monotonic() - began_s < 2 * TIMEOUT_S + SLACK_S
        assert await service.banned("otun") == "ot", "u was never heard of here"
        await service.fail("n", policy=COUNTS)
        assert await service.banned("otun") == "otn"
        assert await service.failures.forgive("g", now=1) == 0
        assert await service.failures.forgive("o", now=1) == 29
        await asyncio.sleep(0.2)  # the time of several looks
        assert service.watched.changes == [False]


def end(server: RedisServer, ending: str) -> None:
    if ending == "killed":
        server.kill()
    elif ending == "frozen":
        server.freeze()
    else:
        # It can be read, but not written: that is being away too.
        with server.client() as client:
            client.config_set("maxmemory", 1)


async def test_only_the_first_calls_wait_for_a_redis_that_is_away(server: RedisServer) -> None:
    async with running(server) as service:
        await service.fail("a")
        server.freeze()
        began_s = time.monotonic()
        await asyncio.gather(*(service.failures.forgive(str(number), now=1) for number in range(500)))
        assert time.monotonic() - began_s < 2 * TIMEOUT_S + SLACK_S
        began_s = time.monotonic()
        for number in range(500):
            await service.failures.forgive(str(number), now=1)
        assert time.monotonic() - began_s < SLACK_S


async def test_a_redis_that_was_away_from_the_start_is_found_later(server: RedisServer) -> None:
    server.kill()
    async with running(server) as service:
        await service.fail("a")
        assert await service.banned("ab") == "a"
        server.start()
        await service.until(is_up=True)
        assert await service.banned("ab") == "a"
    async with running(server) as later:
        assert await later.banned("ab") == "a"


async def test_bans_made_while_redis_was_away_are_written_to_it(server: RedisServer) -> None:
    async with running(server) as service:
        await service.fail("k")
        server.kill()
        await service.fail("m", "n")
        server.start()
        await service.until(is_up=True)
        async with running(server) as other:
            assert await other.banned("kmn") == "mn", "k was known to the Redis that died alone"
    assert service.watched.changes == [False, True]
    assert service.watched.failed >= 1


async def test_more_bans_than_one_message_holds_are_all_written(server: RedisServer) -> None:
    async with running(server, max_addresses=5000) as service:
        server.kill()
        await service.fail(*(f"ban{number}" for number in range(1201)))
        server.start()
        await service.until(is_up=True)
        with server.client() as client:
            assert client.zcard("tiber:bans") == 1201


async def test_a_ban_made_while_redis_was_away_does_not_shorten_an_operators(server: RedisServer) -> None:
    async with running(server) as service, ban_list(server) as bans:
        server.freeze()
        await service.fail("a")
        server.thaw()
        await bans.ban("a", until=FOREVER, now=0, reason="operator's")
        await service.until(is_up=True)
        assert [ban.reason for ban in await bans.bans(now=1)] == ["operator's"]


async def test_a_lifted_ban_stays_lifted(server: RedisServer) -> None:
    async with running(server) as service, ban_list(server) as bans:
        await service.fail("a", "b")
        assert await bans.lift("a", now=1)
        assert await service.banned("ab") == "b"
        server.freeze()
        assert await service.banned("ab") == "b", "nor does it come back while Redis is away"
        server.thaw()
        await service.until(is_up=True)
        assert await service.banned("ab") == "b"
        assert [ban.address for ban in await bans.bans(now=1)] == ["b"]


async def test_a_right_token_clears_what_was_counted_while_redis_was_away(server: RedisServer) -> None:
    async with running(server) as service:
        for _ in range(2):
            server.freeze()
            await service.fail("a", "a", policy=COUNTS)
            server.thaw()
            await service.until(is_up=True)
            await service.failures.forgive("a", now=1)
        assert await service.banned("a") == ""


async def test_rates_are_held_here_while_redis_is_away(server: RedisServer) -> None:
    limit = RateLimit(burst=2, window_s=30)
    async with running(server) as service:
        assert [await service.rates.hit("token:a", limit, now=0) for _ in range(3)] == [0, 0, 30]
        server.kill()
        assert [await service.rates.hit("token:a", limit, now=0) for _ in range(3)] == [0, 0, 30]


async def test_a_change_of_state_is_one_line_without_the_password(tmp_path: Path) -> None:
    with running_redis(tmp_path, password="hush-hush") as server, capture_logs() as logs:
        async with running(server) as service:
            await service.fail("a")
            server.kill()
            for _ in range(50):
                await service.fail("b", policy=COUNTS)
            await asyncio.sleep(0.2)  # the time of several looks
            server.start()
            await service.until(is_up=True)
            await service.fail("c")
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("redis_lost", "warning"),
        ("redis_found", "info"),
    ]
    assert "hush" not in str(logs)


async def test_a_wrong_password_is_a_redis_that_is_away(tmp_path: Path) -> None:
    with running_redis(tmp_path, password="hush-hush") as server:
        server.password = "not-that"
        async with running(server) as service:
            await service.fail("a")
            assert await service.banned("ab") == "a"
            assert service.watched.changes == [False]


async def test_a_redis_that_was_started_anew_runs_the_scripts_at_once(server: RedisServer) -> None:
    async with running(server) as service:
        await service.fail("a")
        with server.client() as client:
            client.script_flush()
        await service.fail("b")
        assert await service.banned("ab") == "ab"
        assert service.watched.failed == 0


async def test_a_caller_that_leaves_disturbs_nobody(server: RedisServer) -> None:
    async with running(server) as service:
        server.freeze()
        calls = [asyncio.create_task(service.fail(str(number))) for number in range(50)]
        await asyncio.sleep(0.01)
        for call in calls[::2]:
            call.cancel()
        server.thaw()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [answer for answer in answers if answer == [0.0]] == [[0.0]] * 25
        assert await service.failures.ban_left_s("1", now=1) == 29
        assert await service.failures.ban_left_s("nobody", now=1) == 0


async def test_closing_lets_nobody_wait(server: RedisServer) -> None:
    service = Service(server)
    server.freeze()
    calls = [asyncio.create_task(service.fail(str(number))) for number in range(200)]
    await asyncio.sleep(0.01)
    await service.link.close()
    async with asyncio.timeout(TIMEOUT_S + SLACK_S):
        assert await asyncio.gather(*calls) == [[0.0]] * 200


def test_an_option_that_redis_has_not_is_refused_without_its_value() -> None:
    with pytest.raises(ConfigError) as error:
        redis_client("redis://:secret@127.0.0.1:1?foo=bar")
    assert "secret" not in error.value.message

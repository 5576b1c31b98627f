"""What every RateLimiter keeps to."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.rate_limiter import MemoryRateLimiter, RateLimiter
from service.auth.redis_client import redis_client
from service.auth.redis_link import RedisLink
from service.auth.redis_rates import RedisRateLimiter
from service.rate import RateLimit, parse_rate
from tests.support.redis import RedisServer, Watched, running_redis

USUAL = parse_rate("10/s", 25)
THREE = RateLimit(burst=3, window_s=30)

NewLimiter = Callable[[], AbstractAsyncContextManager[RateLimiter]]


@asynccontextmanager
async def memory_limiter() -> AsyncGenerator[RateLimiter, None]:
    yield MemoryRateLimiter()


@asynccontextmanager
async def redis_limiter(server: RedisServer) -> AsyncGenerator[RateLimiter, None]:
    with server.client() as client:
        client.flushall()
    watched = Watched()
    link = RedisLink(redis_client(server.url), timeout_s=1, observer=watched)
    try:
        yield RedisRateLimiter(link, local=MemoryRateLimiter())
    finally:
        await link.close()
    assert watched.failed == 0, "Redis' stand-in answered"


@pytest.fixture(scope="module", params=["memory", "redis"])
def new_limiter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewLimiter]:
    if request.param == "memory":
        yield memory_limiter
        return
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield partial(redis_limiter, server)


async def hits(limiter: RateLimiter, limit: RateLimit, *times: float, key: str = "token:a") -> list[float]:
    return [await limiter.hit(key, limit, now=now) for now in times]


async def test_a_burst_is_let_in_and_the_next_waits_for_the_first_to_leave_the_window(
    new_limiter: NewLimiter,
) -> None:
    async with new_limiter() as limiter:
        assert await hits(limiter, USUAL, *[1000.0] * 26) == [0.0] * 25 + [2.5]
        assert await hits(limiter, USUAL, 1002.5) == [0]


async def test_who_waits_as_long_as_told_is_let_in_and_no_sooner(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        assert await hits(limiter, THREE, 0, 10, 20, 25) == [0, 0, 0, 5]
        assert await hits(limiter, THREE, 29.5) == [0.5]
        assert await hits(limiter, THREE, 30, 30) == [0, 10]


async def test_what_had_to_wait_is_not_counted(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        await hits(limiter, THREE, *[0.0] * 100)
        assert await hits(limiter, THREE, 30, 30, 30, 30) == [0, 0, 0, 30]


async def test_keys_are_counted_apart(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        await hits(limiter, THREE, *[0.0] * 3, key="token:a")
        assert await hits(limiter, THREE, 0, key="token:b") == [0]
        assert await hits(limiter, THREE, 0, key="address:a") == [0]


async def test_a_limit_that_changes_counts_what_was_let_in_before(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        assert await hits(limiter, THREE, 0, 1, 2, 3) == [0, 0, 0, 27]
        assert await hits(limiter, RateLimit(burst=4, window_s=30), 3, 3) == [0, 27]
        assert await hits(limiter, RateLimit(burst=2, window_s=30), 3) == [29]
        assert await hits(limiter, RateLimit(burst=2, window_s=10), 12) == [0]


async def test_a_clock_set_back_locks_nobody_out_for_long(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        await hits(limiter, THREE, *[10_000.0] * 3)
        assert await hits(limiter, THREE, 9_980) == [50]
        assert await hits(limiter, THREE, 9_000, 9_000, 9_000, 9_000) == [0, 0, 0, 30]


async def test_concurrent_requests_get_no_more_than_the_burst(new_limiter: NewLimiter) -> None:
    async with new_limiter() as limiter:
        answers = await asyncio.gather(*(limiter.hit("token:a", USUAL, now=0) for _ in range(500)))
        assert answers.count(0.0) == 25


OPERATIONS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12) | st.floats(0, 12)), max_size=60)


@given(operations=OPERATIONS, burst=st.integers(1, 4))
async def test_no_moving_window_ever_holds_more_than_the_burst(
    new_limiter: NewLimiter, operations: list[tuple[str, float]], burst: int
) -> None:
    let_in: dict[str, list[float]] = {"a": [], "b": []}
    now = 0.0
    async with new_limiter() as limiter:
        for name, gap in operations:
            now += gap
            wait_s = await limiter.hit(f"token:{name}", RateLimit(burst=burst, window_s=20), now=now)
            recent = [time for time in let_in[name] if now - time < 20][-burst:]
            assert wait_s == (20 - (now - recent[0]) if len(recent) == burst else 0)
            if not wait_s:
                let_in[name].append(now)

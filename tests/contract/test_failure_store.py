"""What every FailureStore keeps to, and what every BanList that goes with it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.failures import FailureStore
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy, Failures
from service.auth.redis_client import redis_client
from service.auth.redis_failures import RedisFailureStore
from service.auth.redis_link import RedisLink
from tests.support.redis import RedisServer, Watched, running_redis

POLICY = BanPolicy(max_failures=3, ban_s=30, reset_s=100)

NewStore = Callable[[], AbstractAsyncContextManager[FailureStore]]


@asynccontextmanager
async def memory_store() -> AsyncGenerator[FailureStore, None]:
    yield MemoryFailureStore()


@asynccontextmanager
async def redis_store(server: RedisServer) -> AsyncGenerator[FailureStore, None]:
    with server.client() as client:
        client.flushall()
    watched = Watched()
    link = RedisLink(redis_client(server.url), timeout_s=1, observer=watched)
    try:
        yield RedisFailureStore(link, local=MemoryFailureStore(), max_addresses=1000, clock=lambda: 0.0)
    finally:
        await link.close()
    assert watched.failed == 0, "Redis' stand-in answered"


@pytest.fixture(scope="module", params=["memory", "redis"])
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStore]:
    if request.param == "memory":
        yield memory_store
        return
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield partial(redis_store, server)


async def fail(store: FailureStore, times: int, *, now: float = 0.0, address: str = "a") -> list[float]:
    return [await store.add_failure(address, policy=POLICY, now=now) for _ in range(times)]


async def test_unknown_address_is_not_banned(new_store: NewStore) -> None:
    async with new_store() as store:
        assert await store.ban_left_s("a", now=5) == 0
        assert await store.forgive("a", now=5) == 0


async def test_failure_that_starts_the_ban_reports_none_and_the_next_reports_the_rest(
    new_store: NewStore,
) -> None:
    async with new_store() as store:
        assert await fail(store, 4) == [0, 0, 0, 30]
        assert await store.ban_left_s("a", now=10) == 20
        assert await store.ban_left_s("a", now=30) == 0


async def test_addresses_are_counted_apart(new_store: NewStore) -> None:
    async with new_store() as store:
        await fail(store, 3, address="a")
        assert await store.ban_left_s("b", now=0) == 0
        assert await fail(store, 3, address="b") == [0, 0, 0]


async def test_right_token_clears_the_count(new_store: NewStore) -> None:
    async with new_store() as store:
        await fail(store, 2)
        assert await store.forgive("a", now=0) == 0
        assert await fail(store, 4) == [0, 0, 0, 30]


async def test_right_token_does_not_lift_a_ban(new_store: NewStore) -> None:
    async with new_store() as store:
        await fail(store, 3)
        assert await store.forgive("a", now=10) == 20
        assert await store.ban_left_s("a", now=10) == 20


async def test_count_is_forgotten_after_reset_and_after_a_ban(new_store: NewStore) -> None:
    async with new_store() as store:
        await fail(store, 2, now=0)
        assert await fail(store, 3, now=100.5) == [0, 0, 0]
        assert await fail(store, 3, now=130.5) == [0, 0, 0]
        assert await store.ban_left_s("a", now=130.5) == 30


async def test_concurrent_failures_are_each_counted_once(new_store: NewStore) -> None:
    async with new_store() as store:
        answers = await asyncio.gather(*(store.add_failure("a", policy=POLICY, now=0) for _ in range(1000)))
        assert answers.count(0) == POLICY.max_failures
        assert answers.count(30) == 1000 - POLICY.max_failures


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forgive", "look"]),
        st.sampled_from("ab"),
        st.integers(0, 60) | st.floats(0, 60),
    ),
    max_size=80,
)


@given(operations=OPERATIONS)
async def test_any_sequence_answers_as_the_policy_does(
    new_store: NewStore, operations: list[tuple[str, str, int]]
) -> None:
    async with new_store() as store:
        model: dict[str, Failures] = {}
        now = 0.0
        for operation, address, gap in operations:
            now += gap
            past = model.get(address)
            expected = past.ban_left_s(now) if past is not None else 0.0
            if operation == "add":
                assert await store.add_failure(address, policy=POLICY, now=now) == expected
                model[address] = POLICY.after_failure(past, now)
            elif operation == "forgive":
                assert await store.forgive(address, now=now) == expected
                if not expected:
                    model.pop(address, None)
            else:
                assert await store.ban_left_s(address, now=now) == expected

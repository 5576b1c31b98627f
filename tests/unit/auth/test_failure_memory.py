"""The memory store's bounds; its behaviour is in the contract suite."""

from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy

POLICY = BanPolicy(max_failures=1, ban_s=30, reset_s=100)


async def ban(store: MemoryFailureStore, address: str, now: float = 0.0) -> None:
    await store.add_failure(address, policy=POLICY, now=now)


async def test_address_seen_longest_ago_is_forgotten_first() -> None:
    store = MemoryFailureStore(max_addresses=2)
    await ban(store, "a")
    await ban(store, "b")
    assert await store.ban_left_s("a", now=1) == 29  # a is now the one seen last
    await ban(store, "c")
    assert len(store) == 2
    assert await store.ban_left_s("b", now=1) == 0
    assert await store.ban_left_s("a", now=1) == 29


async def test_store_never_grows_past_its_bound() -> None:
    store = MemoryFailureStore(max_addresses=100)
    for number in range(2_000):
        await ban(store, str(number))
    assert len(store) == 100


async def test_expired_addresses_are_dropped_by_the_next_failure() -> None:
    store = MemoryFailureStore()
    for number in range(50):
        await ban(store, str(number))
    await ban(store, "late", now=31)
    assert len(store) == 1


async def test_expired_address_is_dropped_when_looked_at() -> None:
    store = MemoryFailureStore()
    await ban(store, "a")
    assert await store.ban_left_s("a", now=30) == 0
    assert len(store) == 0

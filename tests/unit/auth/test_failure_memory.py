"""The memory store's bounds; its behaviour is in the contract suite."""

import tracemalloc

from service.auth.ban_table import BanTable
from service.auth.failures import FOREVER, Ban
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy

BANS = BanPolicy(max_failures=1, ban_s=30, reset_s=100)
COUNTS = BanPolicy(max_failures=2, ban_s=30, reset_s=100)


async def fail(
    store: MemoryFailureStore, *addresses: str, policy: BanPolicy = BANS, now: float = 0.0
) -> None:
    for address in addresses:
        await store.add_failure(address, policy=policy, now=now)


async def is_banned(store: MemoryFailureStore, address: str, now: float = 1.0) -> bool:
    return await store.ban_left_s(address, now=now) > 0


def ban(address: str, until: float, reason: str = "") -> Ban:
    return Ban(address=address, until=until, reason=reason)


async def test_the_ban_that_ends_first_gives_way() -> None:
    store = MemoryFailureStore(max_addresses=2)
    await fail(store, "a", now=0)
    await fail(store, "b", now=1)
    await fail(store, "c", now=2)
    assert len(store) == 2
    assert [await is_banned(store, address, now=3) for address in "abc"] == [False, True, True]


async def test_the_count_that_grew_longest_ago_gives_way() -> None:
    store = MemoryFailureStore(max_addresses=2)
    await fail(store, "a", "b", "c", policy=COUNTS)
    assert len(store) == 2
    await fail(store, "a", policy=COUNTS)
    assert not await is_banned(store, "a")
    await fail(store, "c", policy=COUNTS)
    assert await is_banned(store, "c")


async def test_a_flood_of_counts_pushes_out_no_ban() -> None:
    store = MemoryFailureStore(max_addresses=10)
    await fail(store, "banned")
    await fail(store, *map(str, range(1000)), policy=COUNTS)
    assert await is_banned(store, "banned")


async def test_a_flood_of_bans_pushes_out_no_longer_one() -> None:
    store = MemoryFailureStore(max_addresses=10)
    store.learn(ban("operators", FOREVER), now=0)
    await fail(store, *map(str, range(1000)))
    assert await is_banned(store, "operators")


async def test_the_store_never_grows_past_its_bounds() -> None:
    store = MemoryFailureStore(max_addresses=100)
    for number in range(2_000):
        await fail(store, f"ban{number}")
        await fail(store, f"count{number}", policy=COUNTS)
    assert len(store) == 200


async def test_what_expired_makes_room_two_for_each_that_comes() -> None:
    store = MemoryFailureStore()
    await fail(store, *map(str, range(50)))
    await fail(store, *(f"late{number}" for number in range(30)), now=31)
    assert len(store) == 30
    await fail(store, *(f"count{number}" for number in range(50)), policy=COUNTS, now=31)
    await fail(store, *(f"later{number}" for number in range(60)), policy=COUNTS, now=132)
    assert len(store) == 30 + 60


async def test_an_expired_ban_is_dropped_when_looked_at() -> None:
    store = MemoryFailureStore()
    await fail(store, "a")
    assert not await is_banned(store, "a", now=30)
    assert len(store) == 0


async def test_new_bans_are_told_once_and_learned_ones_never() -> None:
    store = MemoryFailureStore()
    store.learn(ban("elsewhere", 500), now=0)
    await fail(store, "a", "b", "lifted")
    await fail(store, "counted", policy=COUNTS)
    store.unlearn("lifted")
    assert [ban.address for ban in store.take_new_bans(now=1)] == ["a", "b"]
    assert store.take_new_bans(now=1) == []


async def test_new_bans_that_nobody_takes_are_bounded_and_the_ended_left_out() -> None:
    store = MemoryFailureStore(max_addresses=10)
    await fail(store, *map(str, range(1000)))
    assert len(store.take_new_bans(now=29)) == 10
    await fail(store, "a")
    assert store.take_new_bans(now=30) == []


async def test_a_replaced_table_is_the_stores_from_then_on() -> None:
    store = MemoryFailureStore(max_addresses=2)
    await fail(store, "a")
    store.replace_bans(BanTable(2, [ban("b", 50)]))
    assert not await is_banned(store, "a")
    assert await is_banned(store, "b")


def test_a_table_made_of_too_many_keeps_those_that_end_last() -> None:
    table = BanTable(2, [ban("a", 30), ban("b", 10), ban("c", 20)])
    assert sorted(one.address for one in table.running(0)) == ["a", "c"]
    assert list(table.running(20)) == [ban("a", 30)]


def test_a_ban_in_place_of_another_counts_alone() -> None:
    table = BanTable(2, [ban("a", 30)])
    table.put(ban("a", 10, "shorter"), now=0)
    assert list(table.running(0)) == [ban("a", 10, "shorter")]
    assert table.left_s("a", 10) == 0
    for number in range(10_000):
        table.put(ban("a", 20 + number), now=0)
    assert len(table) == 1
    assert len(table._by_end) < 100  # what was replaced is not kept either


def test_a_ban_that_is_over_already_is_not_kept() -> None:
    table = BanTable(2)
    table.put(ban("a", 10), now=10)
    assert len(table) == 0


def test_a_removed_ban_that_comes_back_is_not_dropped_in_its_former_place() -> None:
    table = BanTable(2, [ban("a", 10), ban("b", 20)])
    assert table.remove("a")
    assert not table.remove("a")
    table.put(ban("a", 30), now=0)
    table.put(ban("c", 40), now=0)
    assert sorted(one.address for one in table.running(0)) == ["a", "c"]


async def test_a_full_store_takes_few_bytes_an_address() -> None:
    store = MemoryFailureStore(max_addresses=20_000)
    addresses = [f"2001:db8:{number:x}:1::/64" for number in range(40_000)]
    tracemalloc.start()
    await fail(store, *addresses[:20_000])
    await fail(store, *addresses[20_000:], policy=COUNTS)
    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The default bound is 100,000 of each: below 64 MiB for both together.
    assert len(store) == 40_000
    assert grown_bytes / 40_000 * 200_000 < 64 * 2**20

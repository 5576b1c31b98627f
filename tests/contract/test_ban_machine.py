"""Bans under any sequence of events, in memory as in Redis, against a plain model of the documented rule."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.auth.ban_file import BanFile, FileBanList
from service.auth.ban_keeper import BanKeeper
from service.auth.failures import WRONG_TOKENS, Ban, BanList, FailureStore
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.redis_bans import RedisBanList
from service.auth.redis_client import redis_client
from service.auth.redis_failures import RedisFailureStore
from service.auth.redis_link import RedisLink
from tests.support.redis import RedisServer, Watched, running_redis

MAX_FAILURES, BAN_S, RESET_S = 3, 30.0, 100.0
POLICY = BanPolicy(max_failures=MAX_FAILURES, ban_s=BAN_S, reset_s=RESET_S)
START_S = 1_800_000_000.0
ROOM = 1000
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was done to one address; `until` and `reason` are those of an operator's ban."""

    what: str
    at: float
    until: float = 0.0
    reason: str = ""


def running_ban(history: list[Happening], now: float) -> tuple[float, str] | None:
    """Find the ban that runs at `now`, from all that ever happened, as the documentation words the rule.

    Five wrong tokens (here three), each within `reset_s` of the one before, ban for `ban_s`; wrong ones
    during a ban count for nothing; a right token clears the count; an operator's ban leaves it as it is.
    """
    ban: tuple[float, str] | None = None
    failed_at: list[float] = []
    for event in history:
        if ban is not None and event.at >= ban[0]:
            ban = None
        if event.what == "ban":
            ban = (event.until, event.reason)
        elif event.what == "lift":
            ban = None
        elif event.what in ("right", "forget"):
            failed_at = []
        elif ban is None and event.what == "fail":
            is_near = bool(failed_at) and event.at - failed_at[-1] <= RESET_S
            failed_at = [*failed_at, event.at] if is_near else [event.at]
            if len(failed_at) == MAX_FAILURES:
                ban, failed_at = (event.at + BAN_S, WRONG_TOKENS), []
    return ban if ban is not None and now < ban[0] else None


class World(Protocol):
    """A service's stores, with what an operator has."""

    keeps_counts: bool

    def store(self, number: int) -> FailureStore:
        """The store of one of the processes."""
        ...

    def operator(self) -> Any:  # an asynchronous context manager of a BanList
        """What `tiber-serve ban` uses; the service has heard of it in the end."""
        ...

    async def start(self) -> None:
        """Start the processes."""
        ...

    async def end(self) -> None:
        """End them, as SIGTERM does."""
        ...


class MemoryWorld:
    """One process that keeps its bans in a file."""

    keeps_counts = False

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._file = BanFile(folder / "bans.json")
        self._file.path.unlink(missing_ok=True)
        self._clock = clock

    def store(self, number: int) -> FailureStore:
        return self._store

    @asynccontextmanager
    async def operator(self) -> AsyncGenerator[BanList, None]:
        # In place of waiting until the keeper looks at the file, once a second.
        await self._stop_keeping()
        yield FileBanList(self._file)
        await self._keep()

    async def start(self) -> None:
        self._store = MemoryFailureStore(max_addresses=ROOM)
        await self._keep()

    async def end(self) -> None:
        await self._stop_keeping()

    async def _keep(self) -> None:
        keeper = BanKeeper(file=self._file, store=self._store, max_bans=ROOM, clock=self._clock, pause_s=3600)
        self._running = asyncio.create_task(keeper.run())
        await asyncio.sleep(0)

    async def _stop_keeping(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


class RedisWorld:
    """Two processes that share a Redis."""

    keeps_counts = True

    def __init__(self, server: RedisServer, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._watched = Watched()
        with server.client() as client:
            client.flushall()

    def store(self, number: int) -> FailureStore:
        return self._stores[number]

    @asynccontextmanager
    async def operator(self) -> AsyncGenerator[BanList, None]:
        client = redis_client(self._server.url)
        try:
            yield RedisBanList(client, max_bans=ROOM)
        finally:
            await client.aclose()

    async def end(self) -> None:
        for link in self._links:
            await link.close()
        assert self._watched.failed == 0, "a store that stands in for Redis answered"

    async def start(self) -> None:
        self._links = [
            RedisLink(redis_client(self._server.url), timeout_s=10, observer=self._watched) for _ in range(2)
        ]
        self._stores = [
            RedisFailureStore(
                link, local=MemoryFailureStore(max_addresses=1), max_addresses=ROOM, clock=self._clock
            )
            for link in self._links
        ]


NewWorld = Callable[[Callable[[], float]], World]

addresses = st.sampled_from(["203.0.113.9", "2001:db8:1:2::/64", "local"])
processes = st.integers(0, 1)
# Eighths are exact in binary; the limits themselves are tried on purpose.
gaps_s = st.integers(1, 1000).map(lambda eighths: eighths / 8) | st.sampled_from(
    [BAN_S, BAN_S - 0.125, BAN_S + 0.125, RESET_S, RESET_S - 0.125, RESET_S + 0.125]
)


class BanMachine(RuleBasedStateMachine):
    """Does to the stores and to the model the same."""

    def __init__(self, new_world: NewWorld) -> None:
        super().__init__()
        self._now = START_S
        self._runner = asyncio.Runner()
        self._world = new_world(lambda: self._now)
        self._histories: dict[str, list[Happening]] = {}
        self._run(self._world.start())

    @rule(gap_s=gaps_s)
    def time_passes(self, gap_s: float) -> None:
        self._now += gap_s

    @rule(address=addresses, process=processes)
    def wrong_token(self, address: str, process: int) -> None:
        expected_s = self._left_s(address)
        assert self._run(self._fail(process, address)) == expected_s
        self._happened(address, "fail")

    @rule(address=addresses, count=st.integers(2, 2 * MAX_FAILURES))
    def wrong_tokens_at_once_over_both_processes(self, address: str, count: int) -> None:
        expected_s = []
        for _ in range(count):
            expected_s.append(self._left_s(address))
            self._happened(address, "fail")

        async def all_at_once() -> list[float]:
            return await asyncio.gather(*(self._fail(number % 2, address) for number in range(count)))

        assert sorted(self._run(all_at_once())) == sorted(expected_s)

    @rule(address=addresses, process=processes)
    def right_token(self, address: str, process: int) -> None:
        left_s = self._run(self._world.store(process).forgive(address, now=self._now))
        assert left_s == self._left_s(address)
        self._happened(address, "right")

    @rule(address=addresses, lasts_s=gaps_s, reason=st.sampled_from(["", 'he "knows" why', "é\n"]))
    def operator_bans(self, address: str, lasts_s: float, reason: str) -> None:
        until = self._now + lasts_s

        async def ban() -> None:
            async with self._world.operator() as bans:
                await bans.ban(address, until=until, now=self._now, reason=reason)

        self._run(ban())
        self._histories.setdefault(address, []).append(Happening("ban", self._now, until, reason))

    @rule(address=addresses)
    def operator_lifts(self, address: str) -> None:
        async def lift() -> bool:
            async with self._world.operator() as bans:
                return bool(await bans.lift(address, now=self._now))

        assert self._run(lift()) is (self._left_s(address) > 0)
        self._happened(address, "lift")

    @rule()
    def operator_lists(self) -> None:
        async def listed() -> list[Ban]:
            async with self._world.operator() as bans:
                return list(await bans.bans(now=self._now))

        running = ((address, self._ban(address)) for address in self._histories)
        expected = [Ban(address=address, until=ban[0], reason=ban[1]) for address, ban in running if ban]
        assert self._run(listed()) == sorted(expected, key=lambda ban: (ban.until, ban.address))

    @rule()
    @precondition(lambda self: self._histories)
    def services_restart(self) -> None:
        self._run(self._world.end())
        self._run(self._world.start())
        if not self._world.keeps_counts:
            for address in self._histories:
                self._happened(address, "forget")

    @invariant()
    def each_process_knows_each_ban(self) -> None:
        async def look() -> dict[tuple[int, str], float]:
            return {
                (process, address): await self._world.store(process).ban_left_s(address, now=self._now)
                for process in range(2)
                for address in self._histories
            }

        for (_, address), left_s in self._run(look()).items():
            assert left_s == self._left_s(address), address

    def teardown(self) -> None:
        self._run(self._world.end())
        self._runner.close()

    def _fail(self, process: int, address: str) -> Coroutine[Any, Any, float]:
        return self._world.store(process).add_failure(address, policy=POLICY, now=self._now)

    def _happened(self, address: str, what: str) -> None:
        self._histories.setdefault(address, []).append(Happening(what, self._now))

    def _ban(self, address: str) -> tuple[float, str] | None:
        return running_ban(self._histories.get(address, []), self._now)

    def _left_s(self, address: str) -> float:
        ban = self._ban(address)
        return ban[0] - self._now if ban is not None else 0.0

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)


def run_machine(new_world: NewWorld, *, max_examples: int) -> None:
    run_state_machine_as_test(
        lambda: BanMachine(new_world),
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=40,
        ),
    )


def test_memory_with_its_file_bans_as_the_rule_says(tmp_path: Path) -> None:
    run_machine(lambda clock: MemoryWorld(tmp_path, clock), max_examples=60)


def test_redis_shared_by_two_processes_bans_as_the_rule_says(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        run_machine(lambda clock: RedisWorld(server, clock), max_examples=60)


@pytest.mark.parametrize(("gap_s", "is_banned"), [(RESET_S, True), (RESET_S + 0.125, False)])
def test_model_itself_knows_the_limit(gap_s: float, is_banned: bool) -> None:
    history = [Happening("fail", at) for at in (0.0, 0.0, gap_s)]
    assert (running_ban(history, gap_s) is not None) is is_banned

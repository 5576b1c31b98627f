"""Bans in memory and in the file stay the same, whoever changes them."""

import asyncio
import contextlib
import json
import shutil
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.auth.ban_file import BanFile, FileBanList
from service.auth.ban_keeper import BanKeeper
from service.auth.failures import FOREVER
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy

BANS = BanPolicy(max_failures=1, ban_s=30, reset_s=100)
NOW = 1000.0
PAUSE_S = 0.01


class Service:
    """A store, and the file beside it; the clock stands still."""

    def __init__(self, path: Path, *, max_bans: int = 1000) -> None:
        self.path = path
        self.store = MemoryFailureStore(max_addresses=max_bans)
        self.keeper = BanKeeper(
            file=BanFile(path), store=self.store, max_bans=max_bans, clock=lambda: NOW, pause_s=PAUSE_S
        )

    async def fail(self, *addresses: str) -> None:
        for address in addresses:
            await self.store.add_failure(address, policy=BANS, now=NOW)

    def banned(self) -> set[str]:
        return {ban.address for ban in self.store.running_bans(now=NOW)}

    async def wait(self, banned: set[str], *, in_file: set[str] | None = None) -> None:
        """Until these alone are banned, in memory and in the file."""
        expected = banned if in_file is None else in_file
        async with asyncio.timeout(5):
            while self.banned() != banned or written(self.path) != expected:  # noqa: ASYNC110 - of a file
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(path: Path, **options: Any) -> AsyncGenerator[Service, None]:
    service = Service(path, **options)
    task = asyncio.create_task(service.keeper.run())
    await asyncio.sleep(0)
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def text(path: Path) -> str:
    return path.read_text()


def spoil(path: Path, content: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)


def written(path: Path) -> set[str]:
    return {ban.address for ban in BanFile(path).read()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "bans.json"


async def test_a_ban_outlives_the_service_though_it_is_killed(path: Path) -> None:
    async with running(path) as service:
        await service.fail("a")
        await service.wait({"a"})
        copy = Path(shutil.copy(path, path.with_name("copy.json")))  # as a kill -9 leaves it
    async with running(copy) as service:
        assert await service.store.ban_left_s("a", now=NOW + 10) == 20


async def test_bans_are_there_before_the_first_request(path: Path) -> None:
    await FileBanList(BanFile(path)).ban("a", until=NOW + 9, now=NOW, reason="")
    async with running(path) as service:
        assert service.banned() == {"a"}


async def test_the_last_bans_are_written_at_the_end(path: Path) -> None:
    async with running(path) as service:
        await service.fail("a")
    assert written(path) == {"a"}


async def test_the_file_is_json_for_its_owner_alone_without_what_is_over(path: Path) -> None:
    bans = FileBanList(BanFile(path))
    await bans.ban("over", until=NOW, now=0, reason="")
    async with running(path) as service:
        await service.fail("a")
        await service.wait({"a"})
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert json.loads(text(path)) == {
        "schema_version": 1,
        "bans": [{"address": "a", "until": NOW + 30, "reason": "wrong tokens"}],
    }


async def test_what_an_operator_lifts_or_bans_is_heeded(path: Path) -> None:
    bans = FileBanList(BanFile(path))
    async with running(path) as service:
        await service.fail("a", "b")
        await service.wait({"a", "b"})
        assert await bans.lift("a", now=NOW)
        await bans.ban("c", until=FOREVER, now=NOW, reason="")
        await service.wait({"b", "c"})
        await service.fail("d")
        await service.wait({"b", "c", "d"})


async def test_services_of_one_file_share_their_bans(path: Path) -> None:
    async with running(path) as one, running(path) as other:
        await one.fail("a")
        await other.fail("b")
        await one.wait({"a", "b"})
        await other.wait({"a", "b"})


async def test_bans_of_both_sides_at_one_moment_are_all_kept(path: Path) -> None:
    bans = FileBanList(BanFile(path))
    async with running(path) as service:
        for number in range(30):
            await service.fail(f"service{number}")
            await bans.ban(f"operator{number}", until=FOREVER, now=NOW, reason="")
        await service.wait({f"{who}{number}" for who in ("service", "operator") for number in range(30)})


async def test_more_bans_than_allowed_leave_those_that_end_last(path: Path) -> None:
    bans = FileBanList(BanFile(path))
    for number in range(5):
        await bans.ban(f"{number}", until=NOW + 100 - number, now=NOW, reason="")
    async with running(path, max_bans=3) as service:
        assert service.banned() == {"0", "1", "2"}


async def test_a_file_without_change_is_not_written_again(path: Path) -> None:
    async with running(path) as service:
        await service.fail("a")
        await service.wait({"a"})
        stamp = BanFile(path).stamp()
        await service.fail("a")
        await asyncio.sleep(10 * PAUSE_S)
        assert BanFile(path).stamp() == stamp


async def test_a_long_file_is_not_written_every_time(path: Path) -> None:
    async with running(path, max_bans=20_000) as service:
        many = {f"{number}" + "x" * 60 for number in range(10_000)}
        await service.fail(*many)
        await service.wait(many)
        assert len(text(path)) > 2**20
        await service.fail("late")
        await FileBanList(BanFile(path)).ban("operators", until=FOREVER, now=NOW, reason="")
        await service.wait({*many, "late", "operators"}, in_file={*many, "operators"})
    assert written(path) == {*many, "late", "operators"}


@pytest.mark.parametrize("content", ["", "nonsense", '{"schema_version": 9, "bans": []}'])
async def test_a_broken_file_is_told_once_moved_aside_and_done_without(path: Path, content: str) -> None:
    spoil(path, content)
    with capture_logs() as logs:
        async with running(path) as service:
            await service.fail("a")
            await service.wait({"a"})
            spoil(path, content)
            async with asyncio.timeout(5):
                while len(logs) < 2:  # noqa: ASYNC110 - of a file
                    await asyncio.sleep(0.005)
            await asyncio.sleep(5 * PAUSE_S)
            await service.wait({"a"})  # a broken file lifts no ban
            await service.fail("b")
            await service.wait({"a", "b"})
    assert [(line["event"], line["moved_to"]) for line in logs] == [
        ("bans_file_broken", f"{path}.broken")
    ] * 2
    assert text(path.with_name("bans.json.broken")) == content


async def test_a_folder_that_cannot_be_written_is_told_once_and_bans_hold_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with capture_logs() as logs:
        async with running(blocked / "bans.json") as service:
            await service.fail("a")
            await asyncio.sleep(10 * PAUSE_S)
            await service.fail("b")
            await asyncio.sleep(10 * PAUSE_S)
            assert service.banned() == {"a", "b"}
            blocked.unlink()
            await service.wait({"a", "b"})
    assert [line["event"] for line in logs] == ["bans_not_kept", "bans_kept_again"]


async def test_a_lock_that_another_process_keeps_holds_up_no_ban(path: Path) -> None:
    async with running(path) as service:
        with BanFile(path).locked():
            await service.fail("a")
            await asyncio.sleep(5 * PAUSE_S)
            await service.fail("b")
            assert service.banned() == {"a", "b"}
            assert written(path) == set()
        await service.wait({"a", "b"})


async def test_an_operators_longer_ban_wins_over_one_that_was_just_made(path: Path) -> None:
    async with running(path) as service:
        await FileBanList(BanFile(path)).ban("a", until=FOREVER, now=NOW, reason="operator")
        await service.fail("a")
        await service.fail("b")
        await service.wait({"a", "b"})
        assert {ban.address: ban.until for ban in BanFile(path).read()} == {"a": FOREVER, "b": NOW + 30}

"""What every BanList keeps to, and the FailureStore that heeds it."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from service.auth.ban_file import BanFile, FileBanList
from service.auth.failures import FOREVER, Ban, BanList
from service.auth.redis_bans import RedisBanList
from service.auth.redis_client import redis_client
from service.errors import ConfigError
from tests.support.redis import RedisServer, running_redis

NewList = Callable[[], AbstractAsyncContextManager[BanList]]


@asynccontextmanager
async def file_list(folder: Path) -> AsyncGenerator[BanList, None]:
    path = folder / "deeper" / "bans.json"
    path.unlink(missing_ok=True)
    yield FileBanList(BanFile(path))


@asynccontextmanager
async def redis_list(server: RedisServer) -> AsyncGenerator[BanList, None]:
    with server.client() as plain:
        plain.flushall()
    client = redis_client(server.url)
    try:
        yield RedisBanList(client, max_bans=5000)
    finally:
        await client.aclose()


@pytest.fixture(scope="module", params=["file", "redis"])
def new_list(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewList]:
    folder = tmp_path_factory.mktemp("bans")
    if request.param == "file":
        yield partial(file_list, folder)
        return
    with running_redis(folder) as server:
        yield partial(redis_list, server)


async def test_nobody_is_banned_at_first(new_list: NewList) -> None:
    async with new_list() as bans:
        assert list(await bans.bans(now=0)) == []
        assert await bans.lift("a", now=0) is False


async def test_bans_are_listed_until_they_end_the_first_to_end_first(new_list: NewList) -> None:
    async with new_list() as bans:
        for address, until in (("late", 30.5), ("soon", 10.25), ("never", FOREVER)):
            await bans.ban(address, until=until, now=0, reason=f"of {address}")
        assert list(await bans.bans(now=10)) == [
            Ban(address="soon", until=10.25, reason="of soon"),
            Ban(address="late", until=30.5, reason="of late"),
            Ban(address="never", until=FOREVER, reason="of never"),
        ]
        assert [ban.address for ban in await bans.bans(now=10.25)] == ["late", "never"]


@pytest.mark.parametrize("until", [5, 50])
async def test_a_ban_takes_the_place_of_the_one_before(new_list: NewList, until: float) -> None:
    async with new_list() as bans:
        await bans.ban("a", until=20, now=0, reason="first")
        await bans.ban("a", until=until, now=0, reason="second")
        assert list(await bans.bans(now=1)) == [Ban(address="a", until=until, reason="second")]


async def test_a_lifted_ban_is_gone_and_the_others_stay(new_list: NewList) -> None:
    async with new_list() as bans:
        await bans.ban("a", until=20, now=0, reason="")
        await bans.ban("b", until=20, now=0, reason="")
        assert await bans.lift("a", now=1) is True
        assert await bans.lift("a", now=1) is False
        assert [ban.address for ban in await bans.bans(now=1)] == ["b"]
        assert await bans.lift("b", now=20) is False, "it was over"


async def test_many_bans_are_all_listed(new_list: NewList) -> None:
    async with new_list() as bans:
        # Redis' are read in pages of 1,000; each one more in the file writes it anew.
        many = 1203 if isinstance(bans, RedisBanList) else 40
        for number in range(many):
            await bans.ban(f"{number:04}", until=20 + number, now=0, reason="")
        listed = [ban.address for ban in await bans.bans(now=0)]
        assert listed == sorted(listed)
        assert len(listed) == many


@pytest.mark.parametrize("reason", ['"quoted", \\ and\nbroken', "ünïcode 🛑", "", "0", "x" * 10_000])
async def test_any_reason_is_kept_as_it_is(new_list: NewList, reason: str) -> None:
    async with new_list() as bans:
        await bans.ban("a", until=20, now=0, reason=reason)
        assert [ban.reason for ban in await bans.bans(now=1)] == [reason]


async def test_redis_that_is_away_is_told_without_its_password() -> None:
    bans = RedisBanList(redis_client("redis://:hush-hush@127.0.0.1:1/0"), max_bans=10)
    for call in (
        bans.bans(now=0),
        bans.lift("a", now=0),
        bans.ban("a", until=9, now=0, reason=""),
    ):
        with pytest.raises(ConfigError) as raised:
            await call
        assert "auth.redis_url" in raised.value.message
        assert "hush" not in raised.value.message


@pytest.mark.parametrize(
    "url", ["http://hush-hush@x", "redis://:hush-hush/y@x", "redis://:hush-hush@x:port", "hush-hush"]
)
def test_an_address_that_is_none_of_redis_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        redis_client(url)
    assert "auth.redis_url" in raised.value.message
    assert "hush" not in raised.value.message
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 2, "bans": []}', '{"bans": 1}'])
async def test_a_broken_file_is_told_by_name_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bans.json"
    path.write_text(content)
    bans = FileBanList(BanFile(path))
    for call in (bans.bans(now=0), bans.lift("a", now=0), bans.ban("a", until=9, now=0, reason="")):
        with pytest.raises(ConfigError, match=r"bans\.json is broken"):
            await call
    assert path.read_text() == content

"""When a token was last used: remembered without a write per request, and never at any price."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.auth import private_file
from service.auth.last_use import LastUses
from service.auth.private_file import file_stamp
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import ConfigError

START = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Calendar:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def used_path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.used.json"


@pytest.fixture
def store(path: Path, calendar: Calendar) -> TokenStore:
    return TokenStore(path, utc_now=calendar, environment_token="open-sesame")


@asynccontextmanager
async def running(store: TokenStore) -> AsyncIterator[None]:
    """The store as a service has it: what it noted is saved at the end."""
    task = asyncio.create_task(store.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        await end(task)


def use(store: TokenStore, text: str) -> None:
    record = store.verify(text)
    assert isinstance(record, TokenRecord)
    store.used(record)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """What tells that a file of the folder was written."""
    return {file.name: file_stamp(file) for file in folder.iterdir()}


def saved_ids(used_path: Path) -> list[str]:
    return list(json.loads(used_path.read_bytes())["last_used_at"])


def last_uses(path: Path) -> dict[str, datetime | None]:
    """What another process lists."""
    return {record.name: record.last_used_at for record in TokenStore(path).list()}


async def test_last_use_is_saved_at_the_end_and_listed_elsewhere(
    store: TokenStore, calendar: Calendar, path: Path, used_path: Path
) -> None:
    text = store.create("alice")
    store.create("bob")
    async with running(store):
        use(store, text)
        calendar.now += SECOND
        use(store, text)
        calendar.now += SECOND
    assert last_uses(path) == {"alice": START + SECOND, "bob": None}
    assert saved_ids(used_path) == [text.split("_")[1]]


def test_its_file_is_the_owners_alone_and_holds_no_secret(store: TokenStore, used_path: Path) -> None:
    text = store.create("alice")
    use(store, text)

    async def serve() -> None:
        async with running(store):
            pass

    asyncio.run(serve())
    assert stat.S_IMODE(used_path.stat().st_mode) == 0o600
    assert text.split("_")[2] not in used_path.read_text()


async def test_requests_write_nothing(store: TokenStore, path: Path) -> None:
    text = store.create("alice")
    before = stamps(path.parent)
    async with running(store):
        for _ in range(1000):
            use(store, text)
        await asyncio.sleep(0)
        assert stamps(path.parent) == before
        assert [record.last_used_at for record in store.list()] == [START]


async def test_it_is_saved_now_and_then_while_running(used_path: Path, calendar: Calendar) -> None:
    uses = LastUses(used_path, known_ids=lambda: {"a"}, utc_now=calendar)
    task = asyncio.create_task(uses.run(flush_s=0.01))
    uses.note("a")
    await until(used_path.exists)
    before = stamps(used_path.parent)
    await asyncio.sleep(0.05)  # several rounds with nothing to save
    assert stamps(used_path.parent) == before
    await end(task)


async def test_the_later_use_wins_over_what_others_wrote(
    path: Path, calendar: Calendar, store: TokenStore
) -> None:
    texts = {name: store.create(name) for name in ("alice", "bob", "carol")}
    early, late = Calendar(), Calendar()
    late.now += SECOND
    one, other = TokenStore(path, utc_now=early), TokenStore(path, utc_now=late)
    use(one, texts["alice"])
    use(one, texts["bob"])
    use(other, texts["bob"])
    use(other, texts["carol"])
    async with running(one), running(other):
        pass  # `other` ends first
    assert last_uses(path) == {"alice": START, "bob": START + SECOND, "carol": START + SECOND}


async def test_revoked_tokens_leave_nothing_behind(store: TokenStore, path: Path, used_path: Path) -> None:
    gone, kept = store.create("gone"), store.create("kept")
    async with running(store):
        use(store, gone)
        use(store, kept)
    assert len(saved_ids(used_path)) == 2
    # A service that had used it, and has not seen that it is gone, brings it back neither.
    service = TokenStore(path, clock=lambda: 0.0, utc_now=store._utc_now)
    use(service, gone)
    use(service, kept)
    store.revoke("gone")
    assert saved_ids(used_path) == [kept.split("_")[1]]
    async with running(service):
        pass
    assert saved_ids(used_path) == [kept.split("_")[1]]


async def test_the_environments_token_is_not_written_down(store: TokenStore, used_path: Path) -> None:
    async with running(store):
        use(store, "open-sesame")
    assert used_path.name not in stamps(used_path.parent)


async def test_a_failing_write_is_told_once_and_tried_again(
    used_path: Path, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"a", "gone"}
    uses = LastUses(used_path, known_ids=lambda: known, utc_now=calendar)
    attempts = 0

    def full(_descriptor: int) -> None:
        nonlocal attempts
        attempts += 1
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(private_file.os, "fsync", full)
        uses.note("a")
        uses.note("gone")
        known.discard("gone")
        task = asyncio.create_task(uses.run(flush_s=0.01))
        await until(lambda: attempts >= 3)
    await until(used_path.exists)
    await end(task)
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("last_uses_not_saved", "No space left on device")
    ]
    assert uses.read() == {"a": START}
    assert set(stamps(used_path.parent)) == {used_path.name, f"{used_path.name}.lock"}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"last_used_at": {"a": 5}}', '{"schema_version": 2}', "\udcff"]
)
async def test_a_broken_file_stops_nothing_and_is_written_anew(
    store: TokenStore, path: Path, used_path: Path, content: str
) -> None:
    text = store.create("alice")
    private_file.replace(used_path, [content.encode("utf-8", "surrogateescape")])
    with capture_logs() as logs:
        assert last_uses(path) == {"alice": None}
    assert [log["event"] for log in logs] == ["last_uses_not_read"]
    with capture_logs():
        async with running(store):
            use(store, text)
    assert last_uses(path) == {"alice": START}


async def test_tokens_that_cant_be_read_cost_no_last_use(used_path: Path, calendar: Calendar) -> None:
    is_open = True

    def known_ids() -> set[str]:
        if is_open:
            raise ConfigError("Run: chmod 600 tokens.json")
        return {"a"}

    uses = LastUses(used_path, known_ids=known_ids, utc_now=calendar)
    uses.note("a")
    with capture_logs() as logs:
        task = asyncio.create_task(uses.run(flush_s=0.01))
        await until(lambda: bool(logs))
    assert (logs[0]["event"], logs[0]["reason"]) == ("last_uses_not_saved", "Run: chmod 600 tokens.json")
    is_open = False
    await until(used_path.exists)
    await end(task)
    assert uses.read() == {"a": START}


def test_beside_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "tokens.json", tmp_path / "link.json"
    link.symlink_to(real)
    text = TokenStore(link).create("alice")
    store = TokenStore(link)
    use(store, text)

    async def serve() -> None:
        async with running(store):
            pass

    asyncio.run(serve())
    assert (tmp_path / "real" / "tokens.used.json").exists()
    assert last_uses(real)["alice"] == last_uses(link)["alice"] is not None

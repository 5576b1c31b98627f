"""A running service follows the file of tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.auth import token_watch
from service.auth.token_file import StoredToken, read_tokens
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import ConfigError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def command(path: Path) -> TokenStore:
    """The store that `tiber-serve token` uses, in another process."""
    return TokenStore(path)


@pytest.fixture
def service(path: Path, clock: Clock) -> TokenStore:
    return TokenStore(path, clock=clock)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files read by the service, in turn."""
    reads: list[Path] = []

    def counted(path: Path) -> tuple[StoredToken, ...]:
        reads.append(path)
        return read_tokens(path)

    monkeypatch.setattr(token_watch, "read_tokens", counted)
    return reads


def test_token_created_elsewhere_is_accepted_at_once(
    service: TokenStore, command: TokenStore, clock: Clock
) -> None:
    first = command.create("first")
    assert isinstance(service.verify(first), TokenRecord)
    clock.now += 0.1
    text = command.create("laptop")
    assert isinstance(service.verify(text), TokenRecord)


def test_wrong_tokens_read_no_file_that_has_not_changed(
    service: TokenStore, command: TokenStore, reads: list[Path]
) -> None:
    command.create("laptop")
    for number in range(50):
        assert service.verify(f"guess-{number}") == "wrong_token"
    assert len(reads) == 1


def test_token_revoked_elsewhere_is_refused_after_a_second(
    service: TokenStore, command: TokenStore, clock: Clock
) -> None:
    text = command.create("laptop")
    assert isinstance(service.verify(text), TokenRecord)
    command.revoke("laptop")
    clock.now += 1
    assert service.verify(text) == "wrong_token"


def test_removed_file_revokes_its_tokens(
    service: TokenStore, command: TokenStore, clock: Clock, path: Path
) -> None:
    text = command.create("laptop")
    assert isinstance(service.verify(text), TokenRecord)
    path.unlink()
    clock.now += 1
    assert service.verify(text) == "wrong_token"


def test_unchanged_file_is_read_once(
    service: TokenStore, command: TokenStore, clock: Clock, reads: list[Path]
) -> None:
    text = command.create("laptop")
    for _ in range(50):
        assert isinstance(service.verify(text), TokenRecord)
        clock.now += 0.5
    assert len(reads) == 1


def test_file_that_turns_unreadable_is_logged_once_and_the_last_tokens_stay(
    service: TokenStore, command: TokenStore, clock: Clock, path: Path
) -> None:
    text = command.create("laptop")
    assert isinstance(service.verify(text), TokenRecord)
    path.chmod(0o644)
    with capture_logs() as logs:
        for _ in range(3):
            clock.now += 1
            assert isinstance(service.verify(text), TokenRecord)
    assert [entry["event"] for entry in logs] == ["tokens_not_reloaded"]
    assert "chmod 600" in logs[0]["reason"]
    path.chmod(0o600)
    command.revoke("laptop")
    clock.now += 1
    assert service.verify(text) == "wrong_token"


def test_first_read_of_a_broken_file_raises(service: TokenStore, path: Path) -> None:
    path.write_text("{")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is broken"):
        service.verify("any")


def test_token_expires_between_two_looks_at_the_file(path: Path, clock: Clock) -> None:
    start = datetime(2026, 11, 5, tzinfo=UTC)
    times = [start]
    service = TokenStore(path, clock=clock, utc_now=lambda: times[-1])
    text = TokenStore(path, utc_now=lambda: start).create("laptop", expires_in=timedelta(seconds=10))
    times.append(start + timedelta(seconds=9.9))
    assert isinstance(service.verify(text), TokenRecord)
    times.append(start + timedelta(seconds=10))
    assert service.verify(text) == "expired"

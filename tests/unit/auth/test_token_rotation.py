"""A token gets a new secret: what stays, what ends, and when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.auth.token_file import read_tokens
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import ConfigError
from service.rate import RateLimit

DAY = timedelta(days=1)
START = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


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
def store(path: Path, calendar: Calendar) -> TokenStore:
    return TokenStore(path, utc_now=calendar)


def test_both_secrets_work_during_the_grace_and_the_new_one_after(
    store: TokenStore, calendar: Calendar
) -> None:
    old = store.create("alice")
    new = store.rotate("alice", grace=DAY)
    assert new != old
    calendar.now += DAY - timedelta(seconds=1)
    for text in (old, new):
        record = store.verify(text)
        assert isinstance(record, TokenRecord)
        assert (record.name, record.id) == ("alice", text.split("_")[1])
    calendar.now += timedelta(seconds=1)
    assert store.verify(old) == "expired"
    assert isinstance(store.verify(new), TokenRecord)


def test_without_a_grace_the_old_secrets_end_at_once(store: TokenStore) -> None:
    first = store.create("alice")
    second = store.rotate("alice", grace=7 * DAY)
    third = store.rotate("alice", grace=timedelta(0))
    assert store.verify(first) == "expired"
    assert store.verify(second) == "expired"
    assert isinstance(store.verify(third), TokenRecord)


def test_a_later_rotation_lengthens_no_grace(store: TokenStore, calendar: Calendar) -> None:
    first = store.create("alice")
    store.rotate("alice", grace=DAY)
    store.rotate("alice", grace=7 * DAY)
    calendar.now += DAY
    assert store.verify(first) == "expired"


def test_rights_and_time_to_live_are_those_of_the_old_one(store: TokenStore, calendar: Calendar) -> None:
    old = store.create("shop", expires_in=90 * DAY, models=["a"], rate="10/s", burst=25, max_concurrent=2)
    calendar.now += 89 * DAY
    new = store.verify(store.rotate("shop", grace=7 * DAY))
    assert isinstance(new, TokenRecord)
    assert new.created_at == calendar.now
    assert new.expires_at == calendar.now + 90 * DAY
    assert (new.models, new.rate, new.max_concurrent) == (("a",), RateLimit(burst=25, window_s=2.5), 2)
    calendar.now += DAY
    assert store.verify(old) == "expired"  # at its own end, before that of the grace


def test_an_expired_token_can_be_rotated_and_stays_expired(store: TokenStore, calendar: Calendar) -> None:
    old = store.create("alice", expires_in=DAY)
    calendar.now += 2 * DAY
    new = store.rotate("alice", grace=DAY)
    assert store.verify(old) == "expired"
    assert isinstance(store.verify(new), TokenRecord)


def test_the_list_tells_which_secret_was_rotated_out(store: TokenStore) -> None:
    store.create("alice")
    store.create("bob")
    store.rotate("alice", grace=DAY)
    listed = [(record.name, record.rotated_at, record.expires_at) for record in store.list()]
    assert listed == [("alice", START, START + DAY), ("bob", None, None), ("alice", None, None)]


def test_revoking_ends_every_secret_of_the_name(store: TokenStore, path: Path) -> None:
    texts = [store.create("alice"), store.rotate("alice", grace=DAY), store.rotate("alice", grace=DAY)]
    other = store.create("bob")
    store.revoke("alice")
    assert [store.verify(text) for text in texts] == ["wrong_token"] * 3
    assert isinstance(store.verify(other), TokenRecord)
    assert [token.name for token in read_tokens(path)] == ["bob"]


def test_what_was_rotated_out_is_forgotten_a_month_after_its_end(
    store: TokenStore, calendar: Calendar
) -> None:
    expired = store.create("expired", expires_in=DAY)
    old = store.create("alice")
    store.rotate("alice", grace=DAY)
    calendar.now += 31 * DAY
    store.create("bob")
    assert store.verify(old) == "expired"
    calendar.now += timedelta(seconds=1)
    store.create("carol")
    assert store.verify(old) == "wrong_token"
    # One that nothing took the place of is the operator's to remove.
    assert store.verify(expired) == "expired"


def test_an_unknown_or_revoked_name_is_refused(store: TokenStore) -> None:
    store.create("alice")
    store.revoke("alice")
    for name in ("alice", "bob", ""):
        with pytest.raises(ConfigError, match="see: tiber-serve token list"):
            store.rotate(name, grace=DAY)

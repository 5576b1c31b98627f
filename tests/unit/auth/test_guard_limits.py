"""What a token and an address may take, and what is told of those that want more."""

from datetime import UTC, datetime

import pytest

from service.auth.guard import AccessLimits, AuthGuard, Identity
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import MemoryRateLimiter
from service.auth.tokens import TokenRecord, TokenRefusal
from service.errors import BannedError, OverloadedError, TiberError, UnauthorizedError
from service.rate import RateLimit, parse_rate
from service.refusal import Refusal

PEER = "203.0.113.9"
TEN_A_SECOND = parse_rate("10/s", 25)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Tokens:
    """Knows tokens by their text, and what is wrong with others; notes who was let in."""

    def __init__(self, **records: TokenRecord) -> None:
        self._records = records
        self.uses: list[str] = []

    def verify(self, text: str) -> TokenRecord | TokenRefusal:
        refusals: dict[str, TokenRefusal] = {"expired": "expired", "misspelt": "malformed"}
        return self._records.get(text) or refusals.get(text, "wrong_token")

    def expired_at(self, text: str) -> datetime | None:
        return datetime(2026, 1, 2, 3, 4, tzinfo=UTC) if text == "expired" else None

    def used(self, record: TokenRecord) -> None:
        self.uses.append(record.name)


class Heard:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.bans: list[str] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def banned(self, address: str, left_s: float) -> None:
        self.bans.append(address)

    @property
    def reasons(self) -> list[str]:
        return [refusal.reason for refusal in self.refusals]


def record(name: str = "alice", **fields: object) -> TokenRecord:
    return TokenRecord(name=name, id=f"{name}-id", created_at=None, **fields)


class Door:
    """A guard with all that is around it."""

    def __init__(self, tokens: Tokens | None = None, **limits: object) -> None:
        self.tokens = tokens or Tokens(a=record("alice"), b=record("bob"))
        self.clock = Clock()
        self.heard = Heard()
        self.guard = AuthGuard(
            tokens=self.tokens,
            failures=MemoryFailureStore(),
            policy=BanPolicy(),
            rates=MemoryRateLimiter(),
            limits=AccessLimits(**limits),
            trusted_proxies=["10.0.0.0/8"],
            forwarding_header="X-Forwarded-For",
            clock=self.clock,
            observer=self.heard,
        )

    async def ask(
        self, token: str | None, *, peer: str = PEER, forwarding: tuple[str, ...] = ()
    ) -> Identity | TiberError:
        authorization = f"Bearer {token}" if token is not None else None
        try:
            return await self.guard.check(authorization=authorization, peer=peer, forwarding=forwarding)
        except (UnauthorizedError, BannedError, OverloadedError) as error:
            return error

    async def count(self, token: str, requests: int) -> int:
        """How many of them are let in."""
        return sum([isinstance(await self.ask(token), Identity) for _ in range(requests)])


async def test_token_of_10_a_second_and_25_at_once_gets_just_that() -> None:
    door = Door(token_rate=TEN_A_SECOND)
    assert await door.count("a", 40) == 25
    error = await door.ask("a")
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s == pytest.approx(2.5)
    assert error.message == "this token may make 25 requests in 2.5 s; try again in 2.5 s"
    door.clock.now += 2.4
    assert await door.count("a", 1) == 0
    door.clock.now += 0.1
    assert await door.count("a", 40) == 25


async def test_token_that_asks_each_tenth_of_a_second_is_never_refused_at_10_a_second() -> None:
    door = Door(token_rate=TEN_A_SECOND)
    for _ in range(500):
        # A bit more, since sums of 0.1 round.
        door.clock.now += 0.1001
        assert await door.count("a", 1) == 1


async def test_no_window_of_2_5_seconds_has_more_than_25_whatever_the_pauses() -> None:
    door = Door(token_rate=TEN_A_SECOND)
    let_in: list[float] = []
    for step in range(3000):
        door.clock.now += 0.003 * (step % 7)
        if isinstance(await door.ask("a"), Identity):
            let_in.append(door.clock.now)
    assert all(later - earlier >= 2.5 - 1e-6 for earlier, later in zip(let_in, let_in[25:], strict=False))
    seconds = door.clock.now - let_in[0]
    assert len(let_in) == pytest.approx(10 * seconds, rel=0.1)


async def test_tokens_have_their_windows_apart_and_their_own_rate_wins() -> None:
    tokens = Tokens(a=record("alice"), b=record("bob", rate=RateLimit(burst=3, window_s=60)))
    door = Door(tokens, token_rate=RateLimit(burst=5, window_s=60))
    assert (await door.count("a", 9), await door.count("b", 9)) == (5, 3)


async def test_two_secrets_of_one_token_share_its_window() -> None:
    tokens = Tokens(old=record("alice"), new=TokenRecord(name="alice", id="another-id", created_at=None))
    door = Door(tokens, token_rate=RateLimit(burst=5, window_s=60))
    assert await door.count("old", 3) + await door.count("new", 9) == 5


async def test_without_a_setting_nothing_is_limited() -> None:
    door = Door()
    assert await door.count("a", 500) == 500


async def test_an_addresss_rate_counts_each_request_whatever_the_token() -> None:
    door = Door(address_rate=RateLimit(burst=4, window_s=60))
    answers = [type(await door.ask(token)) for token in ("a", None, "b", "wrong", "a", None, "wrong")]
    assert answers == [Identity, UnauthorizedError, Identity, UnauthorizedError] + [OverloadedError] * 3
    assert isinstance(await door.ask("a", peer="203.0.113.10"), Identity)


async def test_clients_behind_a_trusted_proxy_have_windows_of_their_own() -> None:
    door = Door(address_rate=RateLimit(burst=2, window_s=60))
    for client in ("198.51.100.1", "198.51.100.2"):
        answers = [type(await door.ask("a", peer="10.0.0.1", forwarding=(client,))) for _ in range(3)]
        assert answers == [Identity, Identity, OverloadedError]


async def test_guesses_over_the_addresss_rate_count_towards_the_ban_and_tell_nothing_of_the_token() -> None:
    door = Door(address_rate=RateLimit(burst=1, window_s=60))
    answers = [type(await door.ask("wrong")) for _ in range(6)]
    assert answers == [UnauthorizedError] + [OverloadedError] * 4 + [BannedError]
    assert door.heard.bans == [PEER]


async def test_a_banned_addresss_requests_use_up_no_rate() -> None:
    door = Door(address_rate=RateLimit(burst=8, window_s=100_000), token_rate=RateLimit(burst=1, window_s=9))
    for _ in range(5):
        await door.ask("wrong")
    assert [type(await door.ask("a")) for _ in range(100)] == [BannedError] * 100
    door.clock.now += 301
    assert [type(await door.ask("a")) for _ in range(2)] == [Identity, OverloadedError]


async def test_requests_refused_for_the_addresss_rate_use_up_none_of_the_tokens() -> None:
    door = Door(address_rate=RateLimit(burst=1, window_s=1), token_rate=RateLimit(burst=2, window_s=60))
    assert await door.count("a", 50) == 1
    door.clock.now += 1
    assert await door.count("a", 50) == 1


async def test_an_expired_token_is_401_and_neither_counts_nor_forgives() -> None:
    door = Door()
    for _ in range(4):
        await door.ask("wrong")
    for _ in range(20):
        error = await door.ask("expired")
        assert isinstance(error, UnauthorizedError)
        assert "The token expired on 2026-01-02 at 03:04 UTC" in error.message
    assert isinstance(await door.ask("wrong"), UnauthorizedError)
    assert isinstance(await door.ask("expired"), BannedError)


async def test_a_misspelt_token_is_told_so_and_counts() -> None:
    door = Door()
    error = await door.ask("misspelt")
    assert isinstance(error, UnauthorizedError)
    assert error.message == "The token is misspelt: its checksum doesn't fit"
    assert [type(await door.ask("misspelt")) for _ in range(5)] == [UnauthorizedError] * 4 + [BannedError]


async def test_only_who_is_let_in_counts_as_a_use() -> None:
    door = Door(token_rate=RateLimit(burst=1, window_s=60))
    for token in ("a", "a", "wrong", "expired", "b"):
        await door.ask(token)
    assert door.tokens.uses == ["alice", "bob"]


async def test_places_are_as_many_as_the_token_may_have_and_come_back() -> None:
    door = Door(Tokens(a=record("alice"), b=record("bob", max_concurrent=1)), token_concurrency=2)
    alice, bob = await door.ask("a"), await door.ask("b")
    assert isinstance(alice, Identity)
    assert isinstance(bob, Identity)
    with door.guard.place(alice), door.guard.place(alice), door.guard.place(bob):
        for identity, limit in ((alice, 2), (bob, 1)):
            with pytest.raises(OverloadedError, match=f"may have: {limit}"), door.guard.place(identity):
                pass
    with pytest.raises(ZeroDivisionError), door.guard.place(alice), door.guard.place(alice):
        raise ZeroDivisionError
    with door.guard.place(alice), door.guard.place(alice):
        assert door.heard.reasons == ["concurrency"] * 2


async def test_two_secrets_of_one_token_share_its_places() -> None:
    tokens = Tokens(old=record("alice"), new=TokenRecord(name="alice", id="another-id", created_at=None))
    door = Door(tokens, token_concurrency=1)
    old, new = await door.ask("old"), await door.ask("new")
    assert isinstance(old, Identity)
    assert isinstance(new, Identity)
    with door.guard.place(old), pytest.raises(OverloadedError), door.guard.place(new):
        pass


async def test_an_error_of_the_request_itself_is_no_refusal() -> None:
    door = Door(token_concurrency=1)
    alice = await door.ask("a")
    assert isinstance(alice, Identity)
    with pytest.raises(OverloadedError, match="theirs"), door.guard.place(alice):
        raise OverloadedError("theirs", retry_after_s=1)
    assert door.heard.reasons == []


async def test_every_refusal_is_told_with_its_reason_address_and_at_most_the_tokens_id() -> None:
    door = Door(address_rate=RateLimit(burst=6, window_s=60), token_rate=RateLimit(burst=1, window_s=60))
    secret = "tsv_abcdefgh_the-secret"
    for token in (None, "misspelt", "expired", secret, "a", "a", "a"):
        await door.ask(token)
    door.clock.now += 61
    alice = await door.ask("a")
    assert isinstance(alice, Identity)
    door.guard.forbid(alice)
    told = [(one.reason, one.token_id, one.limit) for one in door.heard.refusals]
    assert told == [
        ("no_token", None, None),
        ("malformed", None, None),
        ("expired", None, None),
        ("wrong_token", "abcdefgh", None),
        ("rate_limited", "alice-id", "token"),
        ("rate_limited", "alice-id", "address"),
        ("forbidden", "alice-id", None),
    ]
    assert {one.address for one in door.heard.refusals} == {PEER}
    assert "the-secret" not in repr(door.heard.refusals)


async def test_a_ban_is_told_once_it_begins_and_each_refusal_with_what_is_left() -> None:
    door = Door()
    for _ in range(5):
        await door.ask("wrong")
    assert door.heard.bans == [PEER]
    door.clock.now += 100
    await door.ask("a")
    assert door.heard.refusals[-1].reason == "banned"
    assert door.heard.refusals[-1].left_s == pytest.approx(200)


def test_the_address_is_the_same_whether_it_is_remembered_or_worked_out() -> None:
    guard = Door().guard
    for forwarding in (("198.51.100.1",), ("198.51.100.1, 10.0.0.2",), (", " * 400 + "198.51.100.1",)):
        assert {guard.address("10.0.0.1", forwarding) for _ in range(3)} == {"198.51.100.1"}
    assert guard.address("203.0.113.9", ("198.51.100.1",)) == "203.0.113.9"
    assert guard.address(None, ("198.51.100.1",)) == "local"

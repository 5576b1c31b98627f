"""Who is let in, and with which error the others are not."""

import asyncio
from pathlib import Path

import pytest

from service.auth.guard import AccessLimits, AuthGuard, Identity
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import MemoryRateLimiter
from service.auth.tokens import TokenStore
from service.errors import BannedError, ConfigError, TiberError, UnauthorizedError
from service.refusal import Refusal

RIGHT = "Bearer open-sesame"
WRONG = "Bearer guess-123"
PEER = "203.0.113.9"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SlowStore(MemoryFailureStore):
    """Answers after the loop has run everything else once, as a store behind a network would."""

    async def ban_left_s(self, address: str, *, now: float) -> float:
        await asyncio.sleep(0)
        return await super().ban_left_s(address, now=now)

    async def add_failure(self, address: str, *, policy: BanPolicy, now: float) -> float:
        await asyncio.sleep(0)
        return await super().add_failure(address, policy=policy, now=now)

    async def forgive(self, address: str, *, now: float) -> float:
        await asyncio.sleep(0)
        return await super().forgive(address, now=now)


class Unheard:
    """An observer for tests that ask the guard alone."""

    def refused(self, refusal: Refusal) -> None: ...

    def banned(self, address: str, left_s: float) -> None: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[MemoryFailureStore, SlowStore])
def guard(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AuthGuard:
    return AuthGuard(
        tokens=TokenStore(tmp_path / "tokens.json", environment_token="open-sesame", clock=clock),
        failures=request.param(),
        policy=BanPolicy(),
        rates=MemoryRateLimiter(),
        limits=AccessLimits(),
        trusted_proxies=["10.0.0.0/8"],
        forwarding_header="X-Forwarded-For",
        clock=clock,
        observer=Unheard(),
    )


async def ask(
    guard: AuthGuard,
    authorization: str | None,
    *,
    peer: str | None = PEER,
    forwarding: tuple[str, ...] = (),
) -> Identity | TiberError:
    try:
        return await guard.check(authorization=authorization, peer=peer, forwarding=forwarding)
    except (UnauthorizedError, BannedError) as error:
        return error


async def kinds(guard: AuthGuard, *authorizations: str | None) -> list[type]:
    return [type(await ask(guard, authorization)) for authorization in authorizations]


async def test_right_token_gives_the_identity(guard: AuthGuard) -> None:
    assert await ask(guard, RIGHT) == Identity(
        token_name="VALID_TOKEN", token_id="environment", address=PEER, models=(), max_concurrent=None
    )


@pytest.mark.parametrize("header", ["bearer open-sesame", "BEARER open-sesame", "  Bearer   open-sesame "])
async def test_scheme_has_no_case_and_spaces_are_free(guard: AuthGuard, header: str) -> None:
    assert isinstance(await ask(guard, header), Identity)


async def test_five_wrong_tokens_are_401_and_the_sixth_request_is_banned(guard: AuthGuard) -> None:
    assert await kinds(guard, *[WRONG] * 6) == [UnauthorizedError] * 5 + [BannedError]


async def test_everything_from_a_banned_address_is_refused_until_the_ban_ends(
    guard: AuthGuard, clock: Clock
) -> None:
    await kinds(guard, *[WRONG] * 5)
    clock.now += 299.9
    assert await kinds(guard, RIGHT, WRONG, None, "Basic abc") == [BannedError] * 4
    clock.now += 0.1
    assert await kinds(guard, RIGHT) == [Identity]


async def test_ban_says_how_long_it_lasts(guard: AuthGuard, clock: Clock) -> None:
    await kinds(guard, *[WRONG] * 5)
    clock.now += 100
    error = await ask(guard, RIGHT)
    assert isinstance(error, BannedError)
    assert error.retry_after_s == 200
    assert "200 s" in error.message


async def test_count_starts_from_zero_after_the_ban(guard: AuthGuard, clock: Clock) -> None:
    await kinds(guard, *[WRONG] * 5)
    clock.now += 300
    assert await kinds(guard, *[WRONG] * 6) == [UnauthorizedError] * 5 + [BannedError]


async def test_right_token_before_the_ban_clears_the_count(guard: AuthGuard) -> None:
    assert await kinds(guard, *[WRONG] * 4, RIGHT, *[WRONG] * 4, RIGHT) == (
        [UnauthorizedError] * 4 + [Identity] + [UnauthorizedError] * 4 + [Identity]
    )


async def test_failures_long_apart_never_ban(guard: AuthGuard, clock: Clock) -> None:
    for _ in range(20):
        assert await kinds(guard, WRONG) == [UnauthorizedError]
        clock.now += 1801


async def test_missing_header_is_401_and_not_counted(guard: AuthGuard) -> None:
    assert await kinds(guard, *[None] * 20, RIGHT) == [UnauthorizedError] * 20 + [Identity]
    error = await ask(guard, None)
    assert isinstance(error, UnauthorizedError)
    assert "Authorization: Bearer TOKEN" in error.message


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "open-sesame", "Basic open-sesame", "Bearer open-sesame extra"]
)
async def test_malformed_header_is_401_and_counted(guard: AuthGuard, header: str) -> None:
    assert await kinds(guard, *[header] * 5, RIGHT) == [UnauthorizedError] * 5 + [BannedError]


async def test_no_answer_echoes_the_token(guard: AuthGuard) -> None:
    for header in [WRONG, "Basic guess-123", "guess-123", "Bearer guess-123 guess-123", WRONG, WRONG]:
        error = await ask(guard, header)
        assert isinstance(error, TiberError)
        assert "guess-123" not in error.message


async def test_other_addresses_are_not_banned(guard: AuthGuard) -> None:
    await kinds(guard, *[WRONG] * 5)
    assert isinstance(await ask(guard, RIGHT, peer="203.0.113.10"), Identity)


async def test_clients_behind_a_trusted_proxy_are_counted_apart(guard: AuthGuard) -> None:
    for _ in range(5):
        await ask(guard, WRONG, peer="10.0.0.1", forwarding=("198.51.100.1",))
    banned = await ask(guard, RIGHT, peer="10.0.0.1", forwarding=("6.6.6.6, 198.51.100.1",))
    other = await ask(guard, RIGHT, peer="10.0.0.1", forwarding=("198.51.100.2",))
    assert isinstance(banned, BannedError)
    assert isinstance(other, Identity)


async def test_forged_header_of_an_untrusted_peer_evades_no_ban(guard: AuthGuard) -> None:
    for number in range(5):
        await ask(guard, WRONG, forwarding=(f"198.51.100.{number}",))
    assert isinstance(await ask(guard, RIGHT, forwarding=("198.51.100.99",)), BannedError)


async def test_neighbours_in_one_ipv6_64_share_a_count(guard: AuthGuard) -> None:
    for number in range(5):
        await ask(guard, WRONG, peer=f"2001:db8:1:2::{number}")
    assert isinstance(await ask(guard, RIGHT, peer="2001:db8:1:2:abcd::1"), BannedError)
    assert isinstance(await ask(guard, RIGHT, peer="2001:db8:1:3::1"), Identity)


async def test_thousand_wrong_tokens_at_once_get_no_more_than_five_401s(guard: AuthGuard) -> None:
    answers = await asyncio.gather(*(ask(guard, WRONG) for _ in range(1000)))
    assert [type(answer) for answer in answers].count(UnauthorizedError) == 5
    assert [type(answer) for answer in answers].count(BannedError) == 995


async def test_right_token_under_way_when_the_ban_starts_is_not_let_in(guard: AuthGuard) -> None:
    answers = await asyncio.gather(*(ask(guard, header) for header in [*[WRONG] * 5, RIGHT]))
    assert isinstance(answers[-1], BannedError)


def test_bad_trusted_proxy_is_refused_at_start(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        AuthGuard(
            tokens=TokenStore(tmp_path / "tokens.json"),
            failures=MemoryFailureStore(),
            policy=BanPolicy(),
            rates=MemoryRateLimiter(),
            limits=AccessLimits(),
            trusted_proxies=["everything"],
            forwarding_header="X-Forwarded-For",
            clock=clock,
            observer=Unheard(),
        )

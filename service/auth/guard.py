"""Lets a request in, or says why not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from service.auth.address import client_address, parse_trusted_proxies
from service.auth.failures import FailureStore
from service.auth.policy import BanPolicy
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import BannedError, UnauthorizedError

Refusal = Literal["no_token", "malformed", "wrong_token", "banned"]

_HOW = "send the header 'Authorization: Bearer TOKEN'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is calling: the token's name, and the address its failures would be counted under."""

    token_name: str
    address: str


class AuthObserver(Protocol):
    """Is told what the guard decides."""

    def refused(self, reason: Refusal) -> None:
        """A request was not let in."""

    def banned(self, address: str, left_s: float) -> None:
        """Wrong tokens banned an address for `left_s` seconds; several at once may each tell of it."""


class AuthGuard:
    """Checks a request's token, and bans the addresses that guess.

    `clock` counts seconds; a FailureStore shared between machines needs the time of day.

    Raises:
        ConfigError: when an entry of `trusted_proxies` is no network.
    """

    def __init__(
        self,
        *,
        tokens: TokenStore,
        failures: FailureStore,
        policy: BanPolicy,
        trusted_proxies: Iterable[str],
        clock: Callable[[], float],
        observer: AuthObserver,
    ) -> None:
        self._tokens = tokens
        self._failures = failures
        self._policy = policy
        self._trusted = parse_trusted_proxies(trusted_proxies)
        self._clock = clock
        self._observer = observer

    async def check(
        self, *, authorization: str | None, peer: str | None, forwarded_for: Sequence[str]
    ) -> Identity:
        """Let the request in; `forwarded_for` holds the lines of its X-Forwarded-For header.

        Raises:
            BannedError: its address is banned, whatever the token.
            UnauthorizedError: it brings no token, or a wrong one.
        """
        address = client_address(peer, forwarded_for, self._trusted)
        if authorization is None:
            self._refuse_banned(await self._failures.ban_left_s(address, now=self._clock()))
            self._observer.refused("no_token")
            raise UnauthorizedError(f"No token: {_HOW}")
        token = _bearer_token(authorization)
        record = self._tokens.verify(token) if token is not None else None
        # The store counts or forgives, and tells of a running ban, in one atomic call. Looking for
        # the ban first would let every request that is under way in through the gap.
        self._refuse_banned(await self._settle(record, address))
        if record is None:
            await self._tell_of_failure(address, is_well_formed=token is not None)
            raise UnauthorizedError(_refusal(is_well_formed=token is not None))
        return Identity(token_name=record.name, address=address)

    async def _settle(self, record: TokenRecord | None, address: str) -> float:
        now = self._clock()
        if record is None:
            return await self._failures.add_failure(address, policy=self._policy, now=now)
        return await self._failures.forgive(address, now=now)

    async def _tell_of_failure(self, address: str, *, is_well_formed: bool) -> None:
        self._observer.refused("wrong_token" if is_well_formed else "malformed")
        left_s = await self._failures.ban_left_s(address, now=self._clock())
        if left_s > 0:
            self._observer.banned(address, left_s)

    def _refuse_banned(self, left_s: float) -> None:
        if left_s > 0:
            self._observer.refused("banned")
            raise BannedError(
                f"Too many wrong tokens came from this address: it is banned for another {left_s:.0f} s",
                retry_after_s=left_s,
            )


def _bearer_token(authorization: str) -> str | None:
    """Take the token out of `Bearer TOKEN`; None when the header reads otherwise."""
    parts = authorization.split()
    if len(parts) != 2 or parts[0].lower() != "bearer":
        return None
    return parts[1]


def _refusal(*, is_well_formed: bool) -> str:
    if is_well_formed:
        return "The token is not valid: ask the operator of this service for one that is"
    return f"The Authorization header is malformed: {_HOW}"

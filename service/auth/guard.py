"""Lets a request in, or says why not."""

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from service.auth.address import ForwardingHeader, client_address, parse_trusted_proxies
from service.auth.authorization import bearer_token, claimed_id, explain
from service.auth.concurrency import OpenRequests
from service.auth.failures import FailureStore
from service.auth.observer import AuthObserver
from service.auth.policy import BanPolicy
from service.auth.rate_limiter import RateLimiter
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import BannedError, ForbiddenError, OverloadedError, UnauthorizedError
from service.rate import RateLimit
from service.refusal import Reason, Refusal

# What wrong tokens are; an expired one was right, and guesses nothing.
_COUNTED = ("malformed", "wrong_token")
# The addresses of clients that come again and again are worked out once.
_REMEMBERED_ADDRESSES = 1024
_REMEMBERED_CHARACTERS = 256
_REMEMBERED_LINES = 16
_CONCURRENCY_RETRY_S = 1.0
# What a client is told of a ban for ever.
_LONGEST_RETRY_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is calling: the token, the address its failures are counted under, and what the token allows.

    `models` empty means every model; `max_concurrent` None means any number of requests.
    """

    token_name: str
    token_id: str
    address: str
    models: tuple[str, ...] = ()
    max_concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLimits:
    """The limits of every address, and of every token that has none of its own; None is none."""

    address_rate: RateLimit | None = None
    token_rate: RateLimit | None = None
    token_concurrency: int | None = None


class AuthGuard:
    """Checks a request's token, bans the addresses that guess, and holds everybody to their limits.

    A request meets first its address's ban, then its address's rate, then its token's check, rate and
    concurrency. `clock` is the time of day in seconds, which failure stores share between machines.

    Raises:
        ConfigError: when an entry of `trusted_proxies` is no network.
    """

    def __init__(
        self,
        *,
        tokens: TokenStore,
        failures: FailureStore,
        policy: BanPolicy,
        rates: RateLimiter,
        limits: AccessLimits,
        trusted_proxies: Iterable[str],
        forwarding_header: ForwardingHeader,
        clock: Callable[[], float],
        observer: AuthObserver,
    ) -> None:
        self.forwarding_header: ForwardingHeader = forwarding_header
        self._tokens = tokens
        self._failures = failures
        self._policy = policy
        self._rates = rates
        self._limits = limits
        self._trusted = parse_trusted_proxies(trusted_proxies)
        self._clock = clock
        self._observer = observer
        self._open_requests = OpenRequests()
        self._remembered = lru_cache(_REMEMBERED_ADDRESSES)(self._work_out_address)

    def address(self, peer: str | None, forwarding: Sequence[str]) -> str:
        """The address a request counts for; `forwarding` holds the lines of its forwarding header."""
        if len(forwarding) > _REMEMBERED_LINES or sum(map(len, forwarding)) > _REMEMBERED_CHARACTERS:
            return self._work_out_address(peer, *forwarding)
        return self._remembered(peer, *forwarding)

    async def check(
        self, *, authorization: str | None, peer: str | None, forwarding: Sequence[str]
    ) -> Identity:
        """Let the request in; `forwarding` holds the lines of its forwarding header.

        Raises:
            BannedError: its address is banned, whatever the token.
            OverloadedError: its address or its token has used up its rate.
            UnauthorizedError: it brings no token, or one that is not valid.
        """
        address = self.address(peer, forwarding)
        text = bearer_token(authorization) if authorization is not None else None
        verdict = self._verdict(authorization, text)
        # The store counts or forgives, and tells of a running ban, in one atomic call. Looking for
        # the ban first would let every request that is under way in through the gap.
        await self._refuse_banned(address, verdict)
        token_id = verdict.id if isinstance(verdict, TokenRecord) else claimed_id(text)
        if self._limits.address_rate is not None:
            await self._hold_to("address", address, self._limits.address_rate, address, token_id)
        if not isinstance(verdict, TokenRecord):
            self._observer.refused(Refusal(reason=verdict, address=address, token_id=token_id))
            raise self._unauthorized(verdict, text)
        rate = verdict.rate or self._limits.token_rate
        if rate is not None:
            await self._hold_to("token", verdict.name, rate, address, token_id)
        self._tokens.used(verdict)
        return self._identity(verdict, address)

    @contextmanager
    def place(self, identity: Identity) -> Generator[None, None, None]:
        """Hold one of the requests that the token may have open at once.

        Raises:
            OverloadedError: it has as many as it may.
        """
        limit = identity.max_concurrent
        if limit is None:
            yield
            return
        if self._open_requests.of(identity.token_name) >= limit:
            self._observer.refused(_refusal("concurrency", identity))
            raise OverloadedError(
                f"this token has as many requests open as it may have: {limit}",
                retry_after_s=_CONCURRENCY_RETRY_S,
            )
        with self._open_requests.one_more(identity.token_name):
            yield

    def forbid(self, identity: Identity) -> ForbiddenError:
        """What to raise for a model that is not on the token's list; it doesn't tell whether there is one."""
        self._observer.refused(_refusal("forbidden", identity))
        return ForbiddenError(
            f"this token may not use a model of that name; it may use: {', '.join(identity.models)}"
        )

    def _unauthorized(self, reason: Reason, text: str | None) -> UnauthorizedError:
        expired_at = self._tokens.expired_at(text) if text is not None and reason == "expired" else None
        return UnauthorizedError(explain(reason, is_token=text is not None, expired_at=expired_at))

    def _work_out_address(self, peer: str | None, *forwarding: str) -> str:
        return client_address(peer, self.forwarding_header, forwarding, self._trusted)

    def _verdict(self, authorization: str | None, text: str | None) -> TokenRecord | Reason:
        if authorization is None:
            return "no_token"
        return self._tokens.verify(text) if text is not None else "malformed"

    async def _refuse_banned(self, address: str, verdict: TokenRecord | Reason) -> None:
        now = self._clock()
        if isinstance(verdict, TokenRecord):
            left_s = await self._failures.forgive(address, now=now)
        elif verdict in _COUNTED:
            left_s = await self._failures.add_failure(address, policy=self._policy, now=now)
        else:
            left_s = await self._failures.ban_left_s(address, now=now)
        if left_s > 0:
            left_s = min(left_s, _LONGEST_RETRY_S)
            self._observer.refused(Refusal(reason="banned", address=address, left_s=left_s))
            raise BannedError(
                f"This address is banned for another {left_s:.0f} s: too many wrong tokens came from it, "
                "or the operator of this service banned it",
                retry_after_s=left_s,
            )
        if verdict in _COUNTED:
            begun_s = await self._failures.ban_left_s(address, now=self._clock())
            if begun_s > 0:
                self._observer.banned(address, begun_s)

    async def _hold_to(
        self,
        what: Literal["address", "token"],
        name: str,
        limit: RateLimit,
        address: str,
        token_id: str | None,
    ) -> None:
        wait_s = await self._rates.hit(f"{what}:{name}", limit, now=self._clock())
        if wait_s > 0:
            self._observer.refused(
                Refusal(reason="rate_limited", address=address, token_id=token_id, limit=what)
            )
            raise OverloadedError(
                f"this {what} may make {limit.burst} requests in {limit.window_s:g} s; "
                f"try again in {math.ceil(10 * wait_s) / 10:g} s",
                retry_after_s=wait_s,
            )

    def _identity(self, record: TokenRecord, address: str) -> Identity:
        own = record.max_concurrent
        return Identity(
            token_name=record.name,
            token_id=record.id,
            address=address,
            models=record.models,
            max_concurrent=own if own is not None else self._limits.token_concurrency,
        )


def _refusal(reason: Reason, identity: Identity) -> Refusal:
    return Refusal(reason=reason, address=identity.address, token_id=identity.token_id)

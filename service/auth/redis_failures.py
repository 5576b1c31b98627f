"""Keeps failed attempts in Redis, for a service of several processes or machines."""

from collections.abc import Callable

from service.auth.failures import WRONG_TOKENS, Ban
from service.auth.memory import MemoryFailureStore
from service.auth.policy import BanPolicy
from service.auth.redis_link import Call, RedisAwayError, RedisLink
from service.auth.redis_scripts import BAN, BAN_ADDRESS, BANS, FAIL, FAILING, FAILURES, FORGIVE, LOOK

_BANS_AT_ONCE = 500


class RedisFailureStore:
    """A FailureStore in Redis, of at most `max_addresses` counts, and as many bans.

    While Redis is away `local` stands in: the bans that this process knows of hold, whether it or Redis
    told of them, and failures are counted here alone. The bans made meanwhile are written to Redis
    when it is back. While Redis is there its word alone counts. `clock` is the time of day, for what is
    written then.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        local: MemoryFailureStore,
        max_addresses: int,
        clock: Callable[[], float],
    ) -> None:
        self._link = link
        self._local = local
        self._max_addresses = max_addresses
        self._clock = clock

    async def ban_left_s(self, address: str, *, now: float) -> float:
        """Look only."""
        try:
            until = await self._link.call(LOOK, (BAN + address,), (now,))
        except RedisAwayError:
            return await self._local.ban_left_s(address, now=now)
        return self._learn(address, until, now)

    async def add_failure(self, address: str, *, policy: BanPolicy, now: float) -> float:
        """Count a wrong token as `policy` says, unless a ban is running."""
        keys = (BAN + address, FAILURES + address, BANS, FAILING)
        ends = (now + policy.ban_s, now + policy.reset_s)
        most = (policy.max_failures, *ends, WRONG_TOKENS, self._max_addresses)
        try:
            running, made = await self._link.call(FAIL, keys, (now, address, *most))
        except RedisAwayError:
            return await self._local.add_failure(address, policy=policy, now=now)
        left_s = self._learn(address, running or made, now)
        return left_s if running else 0.0

    async def forgive(self, address: str, *, now: float) -> float:
        """Forget the failures after a right token; a running ban stays."""
        keys = (BAN + address, FAILURES + address, FAILING)
        try:
            until = await self._link.call(FORGIVE, keys, (now, address))
        except RedisAwayError:
            return await self._local.forgive(address, now=now)
        self._local.forget_count(address)
        return self._learn(address, until, now)

    async def run(self) -> None:
        """Look after the connection until cancelled."""
        await self._link.run(self._restore)

    def _learn(self, address: str, until_text: str, now: float) -> float:
        """Take over what Redis says of an address' ban; give the seconds left of it."""
        if not until_text:
            self._local.unlearn(address)
            return 0.0
        until = float(until_text)
        self._local.learn(Ban(address=address, until=until, reason=WRONG_TOKENS), now=now)
        return until - now

    async def _restore(self) -> None:
        """Write the bans that were made while Redis was away, until there are no more."""
        while bans := self._local.take_new_bans(now=self._clock()):
            for start in range(0, len(bans), _BANS_AT_ONCE):
                some = bans[start : start + _BANS_AT_ONCE]
                try:
                    await self._link.send([self._write(ban) for ban in some])
                except RedisAwayError:
                    self._local.mark_new(ban.address for ban in bans[start:])
                    raise

    def _write(self, ban: Ban) -> Call:
        keys = (BAN + ban.address, FAILURES + ban.address, BANS, FAILING)
        is_replacing = 0
        what = (ban.address, ban.until, ban.reason, self._max_addresses, is_replacing)
        return Call(BAN_ADDRESS, keys, (self._clock(), *what))

"""The bans in Redis, as an operator sees them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.auth.failures import Ban
from service.auth.redis_scripts import BAN, BAN_ADDRESS, BANS, FAILING, FAILURES, LIFT, Script
from service.errors import ConfigError

_PAGE = 1000
_TIMEOUT_S = 5.0


class RedisBanList:
    """The BanList of services that share Redis; a ban more than `max_bans` drops the one that ends first."""

    def __init__(self, client: "Redis", *, max_bans: int, timeout_s: float = _TIMEOUT_S) -> None:
        self._client = client
        self._max_bans = max_bans
        self._timeout_s = timeout_s

    async def bans(self, *, now: float) -> Sequence[Ban]:
        """Those that are running, the one that ends first before the others."""
        found: list[Ban] = []
        async with self._told_of_errors():
            while page := await self._page(now, len(found)):
                found += page
        return found

    async def ban(self, address: str, *, until: float, now: float, reason: str) -> None:
        """Ban an address in place of any ban that it has."""
        keys = (BAN + address, FAILURES + address, BANS, FAILING)
        is_replacing = 1
        await self._run(BAN_ADDRESS, keys, now, address, until, reason, self._max_bans, is_replacing)

    async def lift(self, address: str, *, now: float) -> bool:
        """End a ban; False when none was running."""
        return bool(await self._run(LIFT, (BAN + address, BANS), now, address))

    async def _page(self, now: float, start: int) -> list[Ban]:
        answer = self._client.zrangebyscore(
            BANS, f"({now!r}", "+inf", start=start, num=_PAGE, withscores=True
        )
        page = cast("list[tuple[str, float]]", await answer)
        pipeline = self._client.pipeline(transaction=False)
        for address, _ in page:
            pipeline.hget(BAN + address, "reason")
        reasons = await pipeline.execute()
        return [
            Ban(address=address, until=until, reason=reason or "")
            for (address, until), reason in zip(page, reasons, strict=True)
        ]

    async def _run(self, script: Script, keys: Sequence[str], *arguments: str | float) -> Any:  # noqa: ANN401 - what the script answers
        async with self._told_of_errors():
            return await self._client.eval(script.text, len(keys), *keys, *arguments)

    @asynccontextmanager
    async def _told_of_errors(self) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            # By its kind alone: what it says may tell of the password.
            raise ConfigError(f"Redis at auth.redis_url can't be used ({type(error).__name__})") from error

"""Keeps each client to its rate in Redis, for a service of several processes or machines."""

from service.auth.rate_limiter import RateLimiter
from service.auth.redis_link import RedisAwayError, RedisLink
from service.auth.redis_scripts import HIT, RATE
from service.rate import RateLimit


class RedisRateLimiter:
    """A RateLimiter in Redis; while that is away `local` stands in, which counts this process alone."""

    def __init__(self, link: RedisLink, *, local: RateLimiter) -> None:
        self._link = link
        self._local = local

    async def hit(self, key: str, limit: RateLimit, *, now: float) -> float:
        """Let a request in, or say how long it has to wait."""
        try:
            wait = await self._link.call(HIT, (RATE + key,), (now, limit.burst, limit.window_s))
        except RedisAwayError:
            return await self._local.hit(key, limit, now=now)
        return float(wait or 0)

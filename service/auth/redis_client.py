"""A client of the Redis that the settings name."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.errors import ConfigError


def redis_client(url: str) -> "Redis":
    """Make a client that tries everything once; it connects when first used.

    Raises:
        ConfigError: `url` is none of Redis; it is not shown, since it may hold a password.
    """
    try:
        return Redis.from_url(url, protocol=2, decode_responses=True, retry=Retry(NoBackoff(), 0))
    except ValueError:
        # Not `from` it: it may quote the password.
        raise ConfigError(
            "auth.redis_url is no address of a Redis: write redis://[:PASSWORD@]HOST:PORT/DATABASE, "
            "rediss:// for TLS, or unix://PATH, with special characters of the password as %XX"
        ) from None

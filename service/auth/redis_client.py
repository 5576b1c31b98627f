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
        # No timeout of its own: it would wait with asyncio.wait_for, which in Python 3.11 swallows a
        # cancellation now and then (bpo-37658), and the callers have theirs.
        client = Redis.from_url(
            url, protocol=2, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=None
        )
        # Connects to nothing yet: an option that there is not shows here.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # it has none
    except (ValueError, TypeError):
        # Not `from` it: it may quote the password.
        raise ConfigError(
            "auth.redis_url is no address of a Redis: write redis://[:PASSWORD@]HOST:PORT/DATABASE, "
            "rediss:// for TLS, or unix://PATH, with special characters of the password as %XX"
        ) from None
    return client

"""Builds where failures, bans and rates are kept."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.auth.ban_file import BanFile, FileBanList
from service.auth.ban_keeper import BanKeeper
from service.auth.failures import BanList, FailureStore, StoreObserver
from service.auth.memory import MemoryFailureStore
from service.auth.rate_limiter import MemoryRateLimiter, RateLimiter
from service.settings import AuthSettings

if TYPE_CHECKING:
    from service.auth.redis_link import RedisLink

# A rate counts for seconds, a failure for half an hour: fewer addresses need be remembered for it.
_ADDRESSES_A_RATE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What the guard asks, and what has to run for as long as it does."""

    failures: FailureStore
    rates: RateLimiter
    background: tuple[Callable[[], Awaitable[None]], ...]


def build_stores(auth: AuthSettings, observer: StoreObserver, clock: Callable[[], float]) -> Stores:
    """Build them in Redis where the settings name one, else in memory; `clock` is the time of day.

    Raises:
        ConfigError: the settings name no right Redis.
    """
    local = MemoryFailureStore(max_addresses=auth.max_addresses)
    rates = MemoryRateLimiter(max_keys=max(1, auth.max_addresses // _ADDRESSES_A_RATE))
    if auth.redis_url is not None:
        link = _redis_link(auth.redis_url.get_secret_value(), auth.redis_timeout_s, observer)
        return _shared_stores(link, local, rates, auth.max_addresses, clock)
    keeper = BanKeeper(file=BanFile(auth.bans_file), store=local, max_bans=auth.max_addresses, clock=clock)
    return Stores(failures=local, rates=rates, background=(keeper.run,))


@asynccontextmanager
async def open_ban_list(auth: AuthSettings) -> AsyncGenerator[BanList, None]:
    """Open the list of bans that running services heed.

    Raises:
        ConfigError: the settings name no right Redis.
    """
    if auth.redis_url is None:
        yield FileBanList(BanFile(auth.bans_file))
        return
    from service.auth.redis_bans import RedisBanList
    from service.auth.redis_client import redis_client

    client = redis_client(auth.redis_url.get_secret_value())
    try:
        yield RedisBanList(client, max_bans=auth.max_addresses)
    finally:
        await client.aclose()


def _redis_link(url: str, timeout_s: float, observer: StoreObserver) -> "RedisLink":
    # Imported late: services without Redis start without its client.
    from service.auth.redis_client import redis_client
    from service.auth.redis_link import RedisLink

    return RedisLink(redis_client(url), timeout_s=timeout_s, observer=observer)


def _shared_stores(
    link: "RedisLink",
    local: MemoryFailureStore,
    local_rates: RateLimiter,
    max_addresses: int,
    clock: Callable[[], float],
) -> Stores:
    from service.auth.redis_failures import RedisFailureStore
    from service.auth.redis_rates import RedisRateLimiter

    failures = RedisFailureStore(link, local=local, max_addresses=max_addresses, clock=clock)
    rates = RedisRateLimiter(link, local=local_rates)
    return Stores(failures=failures, rates=rates, background=(failures.run,))

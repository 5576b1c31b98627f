"""The memory limiter's bounds; its behaviour is in the contract suite."""

import tracemalloc

from service.auth.rate_limiter import MemoryRateLimiter
from service.rate import RateLimit, parse_rate

ONE = RateLimit(burst=1, window_s=10)


async def test_the_address_seen_longest_ago_is_forgotten_first() -> None:
    limiter = MemoryRateLimiter(max_keys=2)
    for name in "abac":
        await limiter.hit(f"address:{name}", ONE, now=0)
    assert len(limiter) == 2
    assert await limiter.hit("address:a", ONE, now=0) == 10
    assert await limiter.hit("address:b", ONE, now=0) == 0


async def test_a_flood_of_addresses_gives_no_token_another_burst() -> None:
    limiter = MemoryRateLimiter(max_keys=10)
    await limiter.hit("token:a", ONE, now=0)
    for number in range(1000):
        await limiter.hit(f"address:{number}", ONE, now=0)
    assert len(limiter) == 11
    assert await limiter.hit("token:a", ONE, now=0) == 10


async def test_windows_that_are_over_make_room_two_for_each_request() -> None:
    limiter = MemoryRateLimiter()
    for number in range(50):
        await limiter.hit(f"address:{number}", ONE, now=0)
    for number in range(50):
        await limiter.hit(f"address:late{number}", ONE, now=10)
    assert len(limiter) == 50


async def test_a_full_limiter_takes_few_bytes_an_address() -> None:
    limiter, usual = MemoryRateLimiter(), parse_rate("10/s", 25)
    keys = [f"address:2001:db8:{number:x}:1::/64" for number in range(20_000)]
    tracemalloc.start()
    for key in keys:
        await limiter.hit(key, usual, now=0)
    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The default bound is 100,000 addresses.
    assert len(limiter) == 20_000
    assert grown_bytes / 20_000 * 100_000 < 40 * 2**20

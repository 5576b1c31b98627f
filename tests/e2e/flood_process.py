"""A process of its own that meets wrong tokens from very many addresses, and tells what it grew by.

As the tests run it: python -m tests.e2e.flood_process FOLDER ADDRESSES FAILURES_OF_EACH
"""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import psutil

from service.auth.guard import AuthGuard
from service.bootstrap.auth import build_door
from service.errors import BannedError, UnauthorizedError
from service.settings import AuthSettings, LimitSettings
from service.telemetry.metrics import Metrics

PROXY = "10.0.0.1"
FIRST = int(IPv4Address("11.0.0.0"))
# Whatever is made at first use is not the flood's.
WARM_UP = 1000
MIB = 2**20


@asynccontextmanager
async def open_door(folder: Path) -> AsyncGenerator[AuthGuard, None]:
    """The guard with its stores, as `serve` has them."""
    auth = AuthSettings(
        tokens_file=folder / "tokens.json",
        bans_file=folder / "bans.json",
        audit_log=folder / "audit.log",
        trusted_proxies=("10.0.0.0/8",),
    )
    door = build_door(auth, LimitSettings(), "a-token", Metrics(version="0"))
    tasks = [asyncio.ensure_future(run()) for run in door.background]
    await asyncio.sleep(0)
    try:
        yield door.guard
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def flood(guard: AuthGuard, addresses: range, failures: int) -> None:
    for number in addresses:
        line = str(IPv4Address(FIRST + number))
        for _ in range(failures):
            with suppress(UnauthorizedError):
                await guard.check(authorization="Bearer guess", peer=PROXY, forwarding=[line])
        if number % 1000 == 0:
            await asyncio.sleep(0)  # what runs beside the requests gets its turn


async def is_banned(guard: AuthGuard, number: int) -> bool:
    try:
        line = str(IPv4Address(FIRST + number))
        await guard.check(authorization="Bearer a-token", peer=PROXY, forwarding=[line])
    except BannedError:
        return True
    return False


async def main(folder: Path, addresses: int, failures: int) -> None:
    async with open_door(folder) as guard:
        await flood(guard, range(WARM_UP), 1)
        gc.collect()
        process = psutil.Process()
        before = process.memory_info().rss
        await flood(guard, range(WARM_UP, WARM_UP + addresses), failures)
        grown = process.memory_info().rss - before
        last = WARM_UP + addresses - 1
        told = {"grown_mib": round(grown / MIB, 1), "is_last_banned": await is_banned(guard, last)}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))

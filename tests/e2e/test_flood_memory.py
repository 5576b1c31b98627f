"""Wrong tokens from addresses without number don't fill the memory."""

import asyncio
import json
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
MOST_GROWTH_MIB = 64
OVER_HTTP = 20_000
CONNECTIONS = 8


def run_flood(folder: Path, *, addresses: int, failures: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.e2e.flood_process", str(folder), str(addresses), str(failures)]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=570, text=True)
    told: dict[str, Any] = json.loads(run.stdout)
    print(f"{failures} failures from each of {addresses} addresses: {told['grown_mib']} MiB more")  # noqa: T201 - the record
    return told


def test_failures_from_a_million_addresses_grow_the_memory_by_less_than_64_mib(tmp_path: Path) -> None:
    told = run_flood(tmp_path, addresses=1_000_000, failures=1)
    assert told["grown_mib"] < MOST_GROWTH_MIB
    assert not told["is_last_banned"]


def test_bans_of_120000_addresses_grow_the_memory_by_less_than_64_mib(tmp_path: Path) -> None:
    """More than are remembered."""
    told = run_flood(tmp_path, addresses=120_000, failures=5)
    assert told["grown_mib"] < MOST_GROWTH_MIB
    assert told["is_last_banned"]


@pytest.fixture
def server(tiny_model: Path, tmp_path: Path) -> Any:
    config = '[auth]\ntrusted_proxies = ["127.0.0.1"]\nmax_addresses = 2000\n'
    with running_server(tmp_path, config + fake_model(tiny_model)) as server:
        yield server


async def guess(server: RunningServer, numbers: range) -> int:
    """Send a wrong token from each address over one connection; count the answers that are 401."""
    reader, writer = await asyncio.open_connection(*server.address)
    refused = 0
    for number in numbers:
        client = IPv4Address((11 << 24) + number)
        lines = ["GET /v1/models HTTP/1.1", "Host: x", "Authorization: Bearer guess"]
        writer.write("\r\n".join([*lines, f"X-Forwarded-For: {client}", "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        refused += b" 401 " in head.partition(b"\r\n")[0]
    writer.close()
    await writer.wait_closed()
    return refused


async def test_failures_over_http_grow_a_full_server_no_further(server: RunningServer) -> None:
    """As many addresses as it remembers come first, then ten times as many."""

    async def flood(first: int, count: int) -> int:
        each = count // CONNECTIONS
        starts = range(first, first + count, each)
        return sum(await asyncio.gather(*(guess(server, range(at, at + each)) for at in starts)))

    process = psutil.Process(server.process.pid)
    assert await flood(0, OVER_HTTP // 5) == OVER_HTTP // 5
    before = process.memory_info().rss
    assert await flood(OVER_HTTP, OVER_HTTP) == OVER_HTTP
    grown_mib = (process.memory_info().rss - before) / MIB
    print(f"{OVER_HTTP} addresses over HTTP: {grown_mib:.1f} MiB more")  # noqa: T201 - the record
    assert grown_mib < 8

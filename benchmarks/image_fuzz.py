"""Sends files that may be pictures, and sees that the service bears them."""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.answers import is_answer, parse_object
from benchmarks.client import Connection, Reply, Target, open_connections
from benchmarks.errors import BenchmarkError

_RESTARTS = "tiber_engine_restarts_total"
_SCRAPE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzSettings:
    """How many files, how many at once; `warm_up` files go before the first look at the memory."""

    files: int
    warm_up: int
    concurrency: int
    timeout_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzResults:
    """What was answered, warm-up left out; the memory is the API process's."""

    files: int
    statuses: dict[int, int]
    engine_restarts: int
    rss_before_bytes: int
    rss_after_bytes: int
    elapsed_s: float
    faults: list[str]


async def run_image_fuzz(
    target: Target, pid: int, files: Iterable[bytes], settings: FuzzSettings, *, advance: Callable[[], None]
) -> FuzzResults:
    """Send `warm_up` files, then the others; `pid` is the API process.

    Raises:
        BenchmarkError: nobody listens, or there are too few files.
    """
    waiting = iter(files)
    restarts_before = await _restarts(target)
    await _send_all(target, islice(waiting, settings.warm_up), settings, lambda: None)
    rss_before = _rss_bytes(pid)
    began_s = time.monotonic()
    replies = await _send_all(target, islice(waiting, settings.files), settings, advance)
    elapsed_s = time.monotonic() - began_s
    if len(replies) != settings.files:
        raise BenchmarkError(f"{len(replies)} files instead of {settings.files}")
    return FuzzResults(
        files=len(replies),
        statuses=dict(sorted(Counter(status for status, _ in replies).items())),
        engine_restarts=await _restarts(target) - restarts_before,
        rss_before_bytes=rss_before,
        rss_after_bytes=_rss_bytes(pid),
        elapsed_s=elapsed_s,
        faults=[fault for _, fault in replies if fault is not None],
    )


def fault_of(reply: Reply) -> str | None:
    """Say what is wrong, unless it is an answer, or a refusal as every error is; None when all is well."""
    if reply.failure is not None:
        return reply.failure
    if is_answer(reply):
        return None
    error = (parse_object(reply.content) or {}).get("error")
    is_refusal = isinstance(error, dict) and (error.get("type"), error.get("code")) == ("validation", 400)
    return None if reply.status == 400 and is_refusal else f"status {reply.status}: {reply.content[:200]!r}"


async def _send_all(
    target: Target, files: Iterator[bytes], settings: FuzzSettings, advance: Callable[[], None]
) -> list[tuple[int, str | None]]:
    """Status, 0 for none, and fault of each file; replies themselves would be counted as memory."""
    found: list[tuple[int, str | None]] = []

    async def work(connection: Connection) -> None:
        for file in files:
            request = target.request("POST", "/generate", _body(file))
            reply = await connection.send(request, timeout_s=settings.timeout_s)
            found.append((reply.status or 0, fault_of(reply)))
            advance()
            if reply.failure is not None:
                connection.close()
                return

    connections = await open_connections(target, settings.concurrency)
    await asyncio.gather(*map(work, connections))
    for connection in connections:
        connection.close()
    return found


def _body(file: bytes) -> bytes:
    inputs = f"<image>{base64.b64encode(file).decode()}</image>\nWhat is it?"
    return json.dumps({"inputs": inputs, "parameters": {"max_new_tokens": 1}}).encode()


async def _restarts(target: Target) -> int:
    connection = await Connection.open(target)
    reply = await connection.send(target.request("GET", "/metrics"), timeout_s=_SCRAPE_TIMEOUT_S)
    connection.close()
    if reply.status != 200:
        raise BenchmarkError(f"/metrics: {reply.failure or reply.status}")
    families = text_string_to_metric_families(reply.content.decode())
    return int(
        sum(sample.value for family in families for sample in family.samples if sample.name == _RESTARTS)
    )


def _rss_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)

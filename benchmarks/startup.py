"""Measures a server's start, its memory, and what the prefix cache saves a prompt that comes again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.answers import stream_fault
from benchmarks.client import Connection, Target
from benchmarks.errors import BenchmarkError
from benchmarks.server import Server, running_server
from benchmarks.stats import Ratio, median, ratios, summarise_ratios
from benchmarks.traffic.workloads import Workload
from benchmarks.workload import generate_body

_REQUEST_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupSettings:
    """`rounds` starts after one to warm the page cache; each then gets `prompts` prompts, each sent twice."""

    rounds: int
    prompts: int
    prompt_tokens: int
    tokens: int
    cache_gib: int
    seed: int

    @property
    def turns(self) -> int:
        """Starts in all."""
        return self.rounds + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupResults:
    """By start, the first left out: until ready, resident memory once ready, before any request.

    Times to the first token are by prompt: of prompts that are new, then of the same ones again;
    `ratio` is again over new.
    """

    ready_s: list[float]
    ready_median_s: float
    api_rss_bytes: list[int]
    engine_rss_bytes: list[int]
    new_ttft_s: list[float]
    again_ttft_s: list[float]
    new_ttft_median_s: float
    again_ttft_median_s: float
    ratio: Ratio | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    ready_s: float
    api_rss_bytes: int
    engine_rss_bytes: int
    ttfts_s: list[tuple[float, float]]


def measure_startup(
    model: Path, settings: StartupSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> StartupResults:
    """Start servers one after another; call `advance` after each of the `turns`.

    Raises:
        BenchmarkError: a server can't be started, or a stream is not whole.
    """
    starts = []
    for turn in range(settings.turns):
        say(f"start {turn} of {settings.rounds}" if turn else "a start to warm up")
        starts.append(_start(model, settings, turn))
        advance()
    return _summarise(starts[1:])


def _start(model: Path, settings: StartupSettings, turn: int) -> _Start:
    workload = Workload.from_spec(
        f"fixed:in={settings.prompt_tokens},out={settings.tokens}", seed=settings.seed, model=model
    )
    texts = [workload.ask(f"{turn}/{number}").text for number in range(settings.prompts + 1)]
    with running_server(model, cache_gib=settings.cache_gib, request_timeout_s=_REQUEST_S) as server:
        return _Start(
            ready_s=server.ready_s,
            api_rss_bytes=_rss_bytes(server.pid),
            engine_rss_bytes=_rss_bytes(server.engine_pid()),
            ttfts_s=asyncio.run(_ttfts(server, settings, texts)),
        )


async def _ttfts(server: Server, settings: StartupSettings, texts: list[str]) -> list[tuple[float, float]]:
    """Of each text but the first, which warms up, when new and when sent again."""
    connection = await Connection.open(server.target)
    try:
        await _ttft_s(connection, server.target, settings, texts[0])
        return [
            (
                await _ttft_s(connection, server.target, settings, text),
                await _ttft_s(connection, server.target, settings, text),
            )
            for text in texts[1:]
        ]
    finally:
        connection.close()


async def _ttft_s(connection: Connection, target: Target, settings: StartupSettings, text: str) -> float:
    request = target.request("POST", "/generate_stream", generate_body(text, max_new_tokens=settings.tokens))
    reply = await connection.send(request, timeout_s=_REQUEST_S)
    fault = stream_fault(reply, tokens=settings.tokens, prompt_tokens=settings.prompt_tokens)
    if fault is not None:
        raise BenchmarkError(f"a stream is not whole: {fault}")
    return reply.event_times_s[0] - reply.sent_s


def _summarise(starts: list[_Start]) -> StartupResults:
    ready_s = [start.ready_s for start in starts]
    pairs = [pair for start in starts for pair in start.ttfts_s]
    new_s, again_s = ([pair[place] for pair in pairs] for place in (0, 1))
    return StartupResults(
        ready_s=ready_s,
        ready_median_s=median(ready_s),
        api_rss_bytes=[start.api_rss_bytes for start in starts],
        engine_rss_bytes=[start.engine_rss_bytes for start in starts],
        new_ttft_s=new_s,
        again_ttft_s=again_s,
        new_ttft_median_s=median(new_s),
        again_ttft_median_s=median(again_s),
        ratio=summarise_ratios(ratios(again_s, new_s)),
    )


def _rss_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)

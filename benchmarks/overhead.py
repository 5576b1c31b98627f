"""Measures what the service costs: tokens per second served over those of the bare engine, in turns."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench import (
    REQUEST_TIMEOUT_S,
    Bench,
    OverheadSettings,
    RawRound,
    ServedRound,
)
from benchmarks.cpu import CpuTime
from benchmarks.errors import BenchmarkError
from benchmarks.server import running_server
from benchmarks.stats import Ratio, Spread, median, ratios, spread, summarise_ratios
from service.bootstrap import engine_config
from service.engine.config import EngineConfig
from service.manifest import read_manifest

Report = Callable[[str], None]


@dataclass(slots=True)
class Rounds:
    """The measurements of one concurrency, turn by turn."""

    raw: list[RawRound] = field(default_factory=list)
    served: list[ServedRound] = field(default_factory=list)
    watched: list[ServedRound] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyResult:
    """What came of one concurrency. Throughputs are in tokens/s, by round; `ratio` is served over raw.

    `watched` rounds are served, too, to a client that each event wakes, while /health is probed: what those
    take, the engine lacks. `itl_s` and `health_s` are of them. `disturbed_rounds` are those in which others
    took more than a twentieth of the CPU that we took.
    """

    concurrency: int
    requests_per_round: int
    raw_tokens_per_s: list[float]
    served_tokens_per_s: list[float]
    raw_median: float
    served_median: float
    watched_tokens_per_s: list[float]
    watched_ratio: Ratio | None
    ratios: list[float]
    ratio: Ratio | None
    ttft_s: Spread | None
    itl_s: Spread | None
    health_s: Spread | None
    raw_cpu: list[CpuTime]
    served_cpu: list[CpuTime]
    watched_cpu: list[CpuTime]
    disturbed_rounds: int
    retried: int
    faults: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadResults:
    """What came of it all."""

    by_concurrency: list[ConcurrencyResult]

    @property
    def faults(self) -> list[str]:
        """All that went wrong."""
        return [fault for result in self.by_concurrency for fault in result.faults]


def measure_overhead(
    model: Path, settings: OverheadSettings, *, advance: Callable[[], None], say: Report
) -> tuple[OverheadResults, EngineConfig]:
    """Measure bare, served and watched in turns; call `advance` after each, and `say` a line on each round.

    Raises:
        BenchmarkError: a process can't be started, or dies.
    """
    with ExitStack() as stack:
        say("starting the server")
        server = stack.enter_context(
            running_server(model, cache_gib=settings.cache_gib, request_timeout_s=REQUEST_TIMEOUT_S)
        )
        config = engine_config(server.settings, server.settings.device or read_manifest(model).device)
        say("loading the bare engine")
        bench = Bench(model, settings, server, config)
        stack.callback(bench.close)
        bench.wait_ready()
        results = [
            _summarise(
                concurrency, settings, _measure_rounds(bench, concurrency, settings.rounds, advance, say)
            )
            for concurrency in settings.concurrencies
        ]
    return OverheadResults(by_concurrency=results), config


def turns(settings: OverheadSettings) -> int:
    """How many measurements there will be, those of warming up included."""
    return 3 * (settings.rounds + 1) * len(settings.concurrencies)


def _measure_rounds(
    bench: Bench, concurrency: int, rounds: int, advance: Callable[[], None], say: Report
) -> Rounds:
    found = Rounds()
    for turn in ("warm-up", *range(1, rounds + 1)):
        prompts = bench.prompts(concurrency, turn)
        raw_round = bench.measure_raw(prompts, concurrency)
        advance()
        served_round = bench.measure_served(prompts, concurrency)
        advance()
        # Other words: the prefix cache must not know them.
        watched_round = bench.measure_served(
            bench.prompts(concurrency, f"{turn} watched"), concurrency, is_watched=True
        )
        advance()
        if turn == "warm-up":
            _refuse_faults(raw_round.faults + served_round.faults + watched_round.faults)
            continue
        found.raw.append(raw_round)
        found.served.append(served_round)
        found.watched.append(watched_round)
        say(_round_line(concurrency, f"{turn}/{rounds}", raw_round, served_round))
    return found


def _refuse_faults(faults: Sequence[str]) -> None:
    if faults:
        raise BenchmarkError(f"{len(faults)} faults while warming up; the first: {faults[0]}")


def _round_line(concurrency: int, turn: str, raw_round: RawRound, served_round: ServedRound) -> str:
    served, bare = served_round.tokens_per_s, raw_round.tokens_per_s
    return (
        f"{concurrency:3d} at once, round {turn}: served {served:.1f}, raw {bare:.1f} tokens/s, "
        f"ratio {served / bare:.3f}; other processes took {served_round.cpu.others_s:.1f} "
        f"and {raw_round.cpu.others_s:.1f} s of CPU"
    )


def _summarise(concurrency: int, settings: OverheadSettings, found: Rounds) -> ConcurrencyResult:
    bare = [one.tokens_per_s for one in found.raw]
    served = [one.tokens_per_s for one in found.served]
    watched = [one.tokens_per_s for one in found.watched]
    pairs = ratios(served, bare)
    return ConcurrencyResult(
        concurrency=concurrency,
        requests_per_round=settings.requests(concurrency),
        raw_tokens_per_s=bare,
        served_tokens_per_s=served,
        raw_median=median(bare),
        served_median=median(served),
        watched_tokens_per_s=watched,
        watched_ratio=summarise_ratios(ratios(watched, bare)),
        ratios=pairs,
        ratio=summarise_ratios(pairs),
        ttft_s=spread([value for one in found.served for value in one.ttft_s]),
        itl_s=spread([value for one in found.watched for value in one.itl_s]),
        health_s=spread([value for one in found.watched for value in one.health_s]),
        raw_cpu=[one.cpu for one in found.raw],
        served_cpu=[one.cpu for one in found.served],
        watched_cpu=[one.cpu for one in found.watched],
        disturbed_rounds=sum(
            any(one.cpu.is_disturbed for one in turn)
            for turn in zip(found.raw, found.served, found.watched, strict=True)
        ),
        retried=sum(one.retried for one in found.watched),
        faults=[
            *(fault for one in found.raw for fault in one.faults),
            *(fault for one in (*found.served, *found.watched) for fault in one.faults),
        ],
    )

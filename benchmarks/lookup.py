"""Compares the bare engine with prompt lookup and without, in turns, on the same prompts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import raw
from benchmarks.errors import BenchmarkError
from benchmarks.lookup_workload import Workload, lookup_prompts
from benchmarks.peer import Peer
from benchmarks.stats import Ratio, median, ratios, summarise_ratios
from service.bootstrap import engine_config
from service.engine.config import EngineConfig
from service.manifest import read_manifest
from service.settings import ModelSettings

# Requests of one measurement at the least: a single short one says little.
_LEAST_REQUESTS = 3
_LOAD_S = 300.0
_ROUND_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings:
    """What to measure: requests for exactly `tokens` tokens, `prompt_lookup` of them guessed in each step."""

    prompt_lookup: int
    workloads: tuple[Workload, ...]
    concurrencies: tuple[int, ...]
    tokens: int
    rounds: int
    cache_gib: int
    max_batched_tokens: int
    seed: int

    def requests(self, concurrency: int) -> int:
        """How many requests one measurement has."""
        return concurrency * -(-_LEAST_REQUESTS // concurrency)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupResult:
    """One workload at one concurrency. Throughputs are in tokens/s, by round; `ratio` is with over without.

    `tokens_a_step` is the mean number of tokens that a request got in a step with lookup: 1 without luck.
    """

    workload: Workload
    concurrency: int
    prompt_tokens: float
    with_lookup: list[float]
    without: list[float]
    ratio: Ratio | None
    tokens_a_step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupResults:
    """What came of it all."""

    results: list[LookupResult]


class _Sides:
    """Two engines, one of which is busy at a time."""

    def __init__(self, config: EngineConfig, settings: LookupSettings, stack: ExitStack) -> None:
        looking = replace(config, prompt_lookup=settings.prompt_lookup, prefix_caching=False)
        self._tokens = settings.tokens
        self._sides: list[Peer[raw.RawJob, raw.RawResult]] = []
        for one in (looking, config):
            peer: Peer[raw.RawJob, raw.RawResult] = Peer(raw.serve, one)
            stack.callback(peer.close)
            self._sides.append(peer)
        for peer in self._sides:
            peer.wait_ready(_LOAD_S)

    def measure(self, prompts: Sequence[list[int]], concurrency: int) -> list[raw.RawResult]:
        """Run the prompts with lookup, then without."""
        job = raw.RawJob(prompts=list(prompts), max_new_tokens=self._tokens, concurrency=concurrency)
        found = [side.run(job, _ROUND_S) for side in self._sides]
        for result in found:
            wrong = [count for count in result.token_counts if count != self._tokens]
            if wrong:
                raise BenchmarkError(f"a request got {wrong[0]} tokens instead of {self._tokens}")
        return found


def lookup_config(model: Path, settings: LookupSettings) -> EngineConfig:
    """The engine as the service would run it by default. Raises: ModelFolderError."""
    served = ModelSettings(
        path=model, cache_gib=settings.cache_gib, max_batched_tokens=settings.max_batched_tokens
    )
    return engine_config(served, read_manifest(model).device)


def measure_lookup(
    model: Path,
    config: EngineConfig,
    settings: LookupSettings,
    *,
    advance: Callable[[], None],
    say: Callable[[str], None],
) -> LookupResults:
    """Measure both sides in turns; call `advance` after each of the `turns`, `say` a line on each case.

    Raises:
        BenchmarkError: an engine can't be started, dies, or gives a wrong number of tokens.
    """
    with ExitStack() as stack:
        say("loading the engine twice")
        sides = _Sides(config, settings, stack)
        results = []
        for workload in settings.workloads:
            for concurrency in settings.concurrencies:
                results.append(_measure_case(model, sides, settings, workload, concurrency, advance))
                say(_line(results[-1]))
    return LookupResults(results=results)


def turns(settings: LookupSettings) -> int:
    """How many pairs of measurements there will be, those of warming up included."""
    return (settings.rounds + 1) * len(settings.concurrencies) * len(settings.workloads)


def _measure_case(
    model: Path,
    sides: _Sides,
    settings: LookupSettings,
    workload: Workload,
    concurrency: int,
    advance: Callable[[], None],
) -> LookupResult:
    with_lookup: list[float] = []
    without: list[float] = []
    prompt_tokens: list[int] = []
    tokens = reads = 0
    for turn in range(settings.rounds + 1):
        seed = f"{settings.seed}/{workload}/{concurrency}/{turn}"
        prompts = lookup_prompts(model, workload, seed=seed, count=settings.requests(concurrency))
        looking, plain = sides.measure([prompt.token_ids for prompt in prompts], concurrency)
        advance()
        if turn == 0:
            continue
        with_lookup.append(sum(looking.token_counts) / looking.wall_s)
        without.append(sum(plain.token_counts) / plain.wall_s)
        prompt_tokens += [len(prompt.token_ids) for prompt in prompts]
        tokens += sum(looking.token_counts)
        reads += looking.reads
    return LookupResult(
        workload=workload,
        concurrency=concurrency,
        prompt_tokens=sum(prompt_tokens) / len(prompt_tokens),
        with_lookup=with_lookup,
        without=without,
        ratio=summarise_ratios(ratios(with_lookup, without)),
        tokens_a_step=tokens / reads,
    )


def _line(result: LookupResult) -> str:
    return (
        f"{result.workload}, {result.concurrency} at once: {median(result.with_lookup):.1f} tokens/s with, "
        f"{median(result.without):.1f} without; {result.tokens_a_step:.2f} tokens a step"
    )

"""Measures how a server's throughput and latencies change with concurrency, prompts' and answers' lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.server import running_server
from benchmarks.traffic.dialects import Tgi
from benchmarks.traffic.jobs import TrafficJob
from benchmarks.traffic.measures import Measures, measure
from benchmarks.traffic.process import TrafficProcess
from benchmarks.traffic.schedules import Closed, Limit
from benchmarks.traffic.workloads import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """What to vary: requests at once, tokens of a prompt, tokens of an answer.

    Each concurrency gets the middle prompt with every answer, and every prompt with the middle answer;
    with `is_full` every prompt with every answer. Each client sends `waves` requests, after one to warm up.
    """

    concurrencies: tuple[int, ...]
    prompt_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    is_full: bool
    waves: int
    rounds: int
    cache_gib: int
    timeout_s: float
    seed: int

    @property
    def turns(self) -> int:
        """Measurements in all."""
        return self.rounds * len(cells(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination."""

    concurrency: int
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What came of one combination, by round; `requests` is of one round, latencies are its medians."""

    cell: Cell
    requests: int
    output_tokens_per_s: list[float]
    total_tokens_per_s: list[float]
    ttft_s: list[float]
    tpot_s: list[float]
    end_to_end_s: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingResults:
    """All of them, by concurrency, prompt, answer."""

    cells: list[CellResult]


def cells(settings: ScalingSettings) -> list[Cell]:
    """The combinations that are measured."""
    prompts, outputs = sorted(set(settings.prompt_tokens)), sorted(set(settings.output_tokens))
    middle_prompt, middle_output = _middle(prompts), _middle(outputs)
    return [
        Cell(concurrency=concurrency, prompt_tokens=prompt, output_tokens=output)
        for concurrency, prompt, output in product(sorted(set(settings.concurrencies)), prompts, outputs)
        if settings.is_full or prompt == middle_prompt or output == middle_output
    ]


def measure_scaling(
    model: Path, settings: ScalingSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> ScalingResults:
    """Measure all combinations on one server, one after another, `rounds` times; call `advance` after each.

    Raises:
        BenchmarkError: the server can't be started, or a request was not answered whole.
    """
    asked = cells(settings)
    seen: dict[Cell, list[Measures]] = {cell: [] for cell in asked}
    say("starting a server")
    limits = {"cache_gib": settings.cache_gib, "request_timeout_s": settings.timeout_s}
    process = TrafficProcess()
    try:
        process.wait_ready()
        with running_server(model, **limits) as server:
            for turn, cell in product(range(settings.rounds), asked):
                say(f"{cell.concurrency} at once, {cell.prompt_tokens} + {cell.output_tokens} tokens")
                seen[cell].append(_measure(process, server.target, model, settings, cell, turn))
                advance()
    finally:
        process.close()
    return ScalingResults(cells=[_summarise(cell, settings, seen[cell]) for cell in asked])


def _measure(
    process: TrafficProcess, target: Target, model: Path, settings: ScalingSettings, cell: Cell, turn: int
) -> Measures:
    requests = cell.concurrency * settings.waves
    job = TrafficJob(
        target=target,
        dialect=Tgi(),
        workload=Workload.from_spec(
            f"fixed:in={cell.prompt_tokens},out={cell.output_tokens}",
            seed=settings.seed,
            model=model,
            # Other words each turn: no prompt is in the server's prefix cache.
            part=f"{turn}/{cell}",
        ),
        schedule=Closed(concurrency=cell.concurrency, limit=Limit(requests=requests)),
        warm_up=1,
        timeout_s=settings.timeout_s,
    )
    seen = measure(process.run(job, lambda _: None), None)
    if seen.answered != requests:
        raise BenchmarkError(f"{seen.answered} of {requests} requests were answered: {cell}: {seen.reasons}")
    return seen


def _summarise(cell: Cell, settings: ScalingSettings, rounds: list[Measures]) -> CellResult:
    return CellResult(
        cell=cell,
        requests=cell.concurrency * settings.waves,
        output_tokens_per_s=[one.output_tokens_per_s.value for one in rounds],
        total_tokens_per_s=[one.total_tokens_per_s.value for one in rounds],
        ttft_s=[one.ttft_s.p50.value for one in rounds if one.ttft_s],
        tpot_s=[one.tpot_s.p50.value for one in rounds if one.tpot_s],
        end_to_end_s=[one.end_to_end_s.p50.value for one in rounds if one.end_to_end_s],
    )


def _middle(values: list[int]) -> int:
    return values[len(values) // 2]

"""Compares our figures with an outside load generator's, in turns on one server."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.stats import Ratio, median, ratios, summarise_ratios
from benchmarks.traffic.dialects import OpenAi
from benchmarks.traffic.guidellm import Figures, run_guidellm
from benchmarks.traffic.jobs import TrafficJob
from benchmarks.traffic.measures import measure
from benchmarks.traffic.process import TrafficProcess
from benchmarks.traffic.schedules import Closed, Limit
from benchmarks.traffic.workloads import Workload

_OURS, _THEIRS = "ours", "guidellm"
_MOST_OFF = 0.05
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheckSettings:
    """What both send: `requests` of a workload in each turn, at each concurrency in `rounds` turns."""

    workload: str
    concurrencies: tuple[int, ...]
    requests: int
    rounds: int
    seed: int
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One measure's figures of both by round, and ours over theirs."""

    concurrency: int
    name: str
    ours: list[float]
    theirs: list[float]
    ratio: Ratio | None

    @property
    def agrees(self) -> bool:
        """Whether the medians are within 5% of each other."""
        return abs(median(self.ours) / median(self.theirs) - 1) <= _MOST_OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheckResults:
    """All comparisons."""

    comparisons: list[Comparison]


class CrossCheck:
    """Both load generators, before one server."""

    def __init__(self, target: Target, model: Path, model_name: str, program: Path) -> None:
        self._target = target
        self._model = model
        self._model_name = model_name
        self._program = program
        self._process = TrafficProcess()

    def run(self, settings: CrossCheckSettings, say: Callable[[str], None]) -> CrossCheckResults:
        """Measure in turns, who begins changing each round. Raises: BenchmarkError when one of them fails."""
        self._process.wait_ready()
        say("warming up")
        self._ours(self._workload(settings, "warm-up"), max(settings.concurrencies), settings.requests)
        comparisons: list[Comparison] = []
        for concurrency in settings.concurrencies:
            seen: dict[str, list[Figures]] = {_OURS: [], _THEIRS: []}
            for turn in range(settings.rounds):
                for side in (_OURS, _THEIRS) if turn % 2 == 0 else (_THEIRS, _OURS):
                    say(f"closed:{concurrency}, round {turn + 1} of {settings.rounds}: {side}")
                    workload = self._workload(settings, f"{concurrency}/{turn}/{side}")
                    measure_one = self._ours if side == _OURS else self._theirs
                    seen[side].append(measure_one(workload, concurrency, settings.requests))
            comparisons += _compare(concurrency, seen[_OURS], seen[_THEIRS])
        return CrossCheckResults(comparisons=comparisons)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def _workload(self, settings: CrossCheckSettings, turn: str) -> Workload:
        # Other words each turn: no prompt is in the server's prefix cache.
        part = f"{settings.run_id}/{turn}"
        return Workload.from_spec(settings.workload, seed=settings.seed, model=self._model, part=part)

    def _ours(self, workload: Workload, concurrency: int, requests: int) -> Figures:
        job = TrafficJob(
            target=self._target,
            dialect=OpenAi(model=self._model_name, is_chat=False),
            workload=workload,
            schedule=Closed(concurrency=concurrency, limit=Limit(requests=requests)),
            warm_up=1,
            timeout_s=_TIMEOUT_S,
        )
        seen = measure(self._process.run(job, lambda _: None), None)
        if seen.answered != requests or not seen.ttft_s or not seen.tpot_s:
            raise BenchmarkError(f"we had {seen.answered} of {requests} requests answered: {seen.reasons}")
        return Figures(
            output_tokens_per_s=seen.output_tokens_per_s.value,
            ttft_s=seen.ttft_s.p50.value,
            tpot_s=seen.tpot_s.p50.value,
        )

    def _theirs(self, workload: Workload, concurrency: int, requests: int) -> Figures:
        with tempfile.TemporaryDirectory(prefix="benchmarks-guidellm-") as folder:
            return run_guidellm(
                self._program,
                self._target,
                [workload.ask(number) for number in range(requests)],
                model=self._model,
                model_name=self._model_name,
                concurrency=concurrency,
                folder=Path(folder),
                timeout_s=_TIMEOUT_S,
            )


def _compare(concurrency: int, ours: list[Figures], theirs: list[Figures]) -> list[Comparison]:
    comparisons = []
    for name in ("output_tokens_per_s", "ttft_s", "tpot_s"):
        left, right = ([getattr(one, name) for one in side] for side in (ours, theirs))
        comparisons.append(
            Comparison(
                concurrency=concurrency,
                name=name,
                ours=left,
                theirs=right,
                ratio=summarise_ratios(ratios(left, right)),
            )
        )
    return comparisons

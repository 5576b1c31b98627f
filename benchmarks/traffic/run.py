"""Runs a load from its first request to its figures, in one stage or in a sweep of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.traffic.dialects import Dialect
from benchmarks.traffic.jobs import Progress, TrafficJob
from benchmarks.traffic.measures import Measures, measure
from benchmarks.traffic.process import TrafficProcess
from benchmarks.traffic.schedules import Closed, Limit, Schedule, Sweep, at_rate
from benchmarks.traffic.slo import Slo
from benchmarks.traffic.workloads import Workload

# The share of an offered rate that answers must come at for it to count as borne.
_BORNE_SHARE = 0.95
# Requests that warm an open loop up, which has no number of clients.
_WARM_UP_TIMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send where, and how to judge it; `warm_up` None means one request for each client."""

    target: Target
    dialect: Dialect
    workload: Workload
    limit: Limit
    slo: Slo | None
    warm_up: int | None
    timeout_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One measurement: how requests arrived, what came of it. `offered_per_s` is None for closed loops."""

    arrival: str
    offered_per_s: float | None
    measures: Measures
    was_stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficResults:
    """All stages; `borne_per_s` is the highest rate of a sweep that was answered as fast, or 95% so."""

    stages: list[Stage]
    borne_per_s: float | None

    @property
    def failed(self) -> int:
        """Requests that failed, in all stages."""
        return sum(sum(stage.measures.failures.values()) for stage in self.stages)

    @property
    def answered(self) -> int:
        """Requests that were answered whole, in all stages."""
        return sum(stage.measures.answered for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who is told how far it is."""

    say: Callable[[str], None]
    progress: Callable[[Progress], None]


def run_plan(plan: Plan, arrival: Schedule | Sweep, name: str, tell: Teller) -> TrafficResults:
    """Do it all in a process of its own; Ctrl-C ends it with what was measured so far.

    Raises:
        BenchmarkError: nobody listens, nothing is to be sent, or the load process died.
    """
    # What can't be written, such as a picture in a completion, is told before anything starts.
    plan.dialect.body(plan.workload.ask(0))
    process = TrafficProcess()
    try:
        process.wait_ready()
        if isinstance(arrival, Sweep):
            return _sweep(process, plan, arrival, tell)
        return TrafficResults(stages=[_stage(process, plan, arrival, name, tell)], borne_per_s=None)
    finally:
        process.close()


def _stage(
    process: TrafficProcess,
    plan: Plan,
    schedule: Schedule,
    name: str,
    tell: Teller,
    *,
    number: int = 0,
    is_later: bool = False,
) -> Stage:
    if not isinstance(schedule, Closed) and not schedule.due_s:
        raise BenchmarkError(
            f"{name} brings no request within the limit: give it more --duration or --requests"
        )
    tell.say(f"{name}: begins")
    job = TrafficJob(
        target=plan.target,
        dialect=plan.dialect,
        # Other words than any stage before: their prompts are in the server's prefix cache.
        workload=replace(plan.workload, part=f"{plan.workload.part}/{number}"),
        schedule=schedule,
        warm_up=0 if is_later else _warm_up(plan, schedule),
        timeout_s=plan.timeout_s,
    )
    result = process.run(job, tell.progress)
    return Stage(
        arrival=name,
        offered_per_s=None if isinstance(schedule, Closed) else _offered_per_s(schedule.due_s),
        measures=measure(result, plan.slo),
        was_stopped=result.was_stopped,
    )


def _warm_up(plan: Plan, schedule: Schedule) -> int:
    if plan.warm_up is not None:
        return plan.warm_up
    return schedule.concurrency if isinstance(schedule, Closed) else _WARM_UP_TIMED


def _offered_per_s(due_s: tuple[float, ...]) -> float | None:
    return (len(due_s) - 1) / (due_s[-1] - due_s[0]) if due_s[-1] > due_s[0] else None


def _sweep(process: TrafficProcess, plan: Plan, sweep: Sweep, tell: Teller) -> TrafficResults:
    """One client tells the lowest rate, many tell the highest; the rates between are then offered."""
    stages: list[Stage] = []
    for concurrency in (1, sweep.concurrency):
        schedule = Closed(concurrency=concurrency, limit=plan.limit)
        stages.append(_stage(process, plan, schedule, f"closed:{concurrency}", tell, number=len(stages)))
        if stages[-1].was_stopped:
            return TrafficResults(stages=stages, borne_per_s=None)
    low, high = (stage.measures.requests_per_s.value for stage in stages)
    if not low or not high:
        raise BenchmarkError(f"no request was answered: {'; '.join(stages[-1].measures.reasons)}")
    for step in range(1, sweep.steps + 1):
        rate_per_s = float(f"{low + (high - low) * step / sweep.steps:.3g}")
        timed = at_rate("poisson", rate_per_s, plan.limit, seed=plan.seed)
        name = f"poisson:{rate_per_s:g}"
        stages.append(_stage(process, plan, timed, name, tell, number=len(stages), is_later=True))
        if stages[-1].was_stopped:
            break
    return TrafficResults(stages=stages, borne_per_s=_borne_per_s(stages))


def _borne_per_s(stages: list[Stage]) -> float | None:
    borne = [
        stage.offered_per_s
        for stage in stages
        if stage.offered_per_s is not None
        and not stage.measures.failures
        and (stage.measures.answers_per_s or 0.0) >= _BORNE_SHARE * stage.offered_per_s
    ]
    return max(borne, default=None)

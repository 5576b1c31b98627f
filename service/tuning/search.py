"""Searches: successive halving in stages, everything measured beside what is used now."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.tuning.agreement import bound, distance
from service.tuning.budget import Budget, finishes_within
from service.tuning.candidate import Candidate
from service.tuning.errors import CandidateError, TuningError
from service.tuning.ledger import Entry, Ledger
from service.tuning.objective import is_beyond_noise
from service.tuning.plan import Plan
from service.tuning.rounds import measure_in_turn, opened
from service.tuning.space import Stage
from service.tuning.trial import Laboratory, Trial

# The budget's last part: the winner against what is used now, until the time is over.
_FINAL_SHARE = 0.25
_LEAST_FINAL_ROUNDS, _MOST_FINAL_ROUNDS = 3, 30
# A round should be so small a part of the budget; a search of fewer rounds says nothing.
_ROUNDS_WANTED, _LEAST_ROUNDS = 100, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. `winner` is the control's entry where nothing was better; `reason` says why."""

    winner: Entry
    ledger: Ledger
    bound: float
    reason: str
    took_s: float


Tell = Callable[[str, Sequence[str]], None]
"""Called with what happens now, and the names of the candidates that are left in this stage."""


class Search:
    """One search; `clock` is monotonic, in seconds."""

    def __init__(self, plan: Plan, laboratory: Laboratory, *, clock: Callable[[], float], tell: Tell) -> None:
        self._plan = plan
        self._laboratory = laboratory
        self._budget = Budget(plan.budget_s, clock)
        self._tell = tell
        self._ledger = Ledger(plan.objective, plan.control)
        self._baselines = [self._ledger.entry(one) for one in plan.baselines]
        for entry in self._baselines:
            entry.is_baseline = True
        self._reference: list[float] = []
        self._bound = 0.0
        # The longest that loading one candidate, the same with its scores, and one round of one took so far.
        self._load_s = 0.0
        self._open_s = 0.0
        self._round_s = 0.0
        self._final_rounds = 0

    async def run(self) -> Outcome:
        """Search until the budget is spent.

        Raises:
            TuningError: the model does not run, or the budget is too small for it.
        """
        try:
            async with asyncio.timeout(self._budget.left_s) as loading:
                self._reference = await self._read_reference()
                before_s = self._budget.took_s
                async with opened(self._laboratory, [self._ledger.control]) as control:
                    self._load_s = self._budget.took_s - before_s
                    trial = _only(control, self._plan.control)
                    await self._prepare(trial)
                    loading.reschedule(None)
                    return await self._search(trial)
        except TimeoutError as error:
            if not loading.expired():
                raise
            raise TuningError(
                f"the budget of {self._plan.budget_s:g} s was over before the model had loaded twice, for "
                "the reference and as it is used now: give it several times as much with --budget"
            ) from error
        except CandidateError as error:
            raise TuningError(
                f"the engine fails with the settings that are used now: {error.message}"
            ) from error

    async def _read_reference(self) -> list[float]:
        self._tell("reading the reference", [])
        async with opened(self._laboratory, [Entry(candidate=self._plan.reference)]) as reference:
            return await _only(reference, self._plan.reference).logprobs()

    async def _prepare(self, control: Trial) -> None:
        own = self._ledger.control
        own.distance = distance(self._reference, await control.logprobs())
        self._bound = bound(own.distance)
        # Two were loaded, and scored the text.
        self._open_s = self._budget.took_s / 2
        await self._timed_round(control)
        self._laboratory.fit_rounds(self._plan.budget_s / _ROUNDS_WANTED)
        await self._timed_round(control)
        self._refuse_too_small()

    def _refuse_too_small(self) -> None:
        """See that one candidate can be tried, and measured in the end."""
        one_tried_s = self._open_s + 2 * self._round_s
        wanted_s = self._budget.took_s + one_tried_s + self._final_s(1)
        rounds_s = _LEAST_ROUNDS * self._round_s
        if not self._budget.has_for(wanted_s) or rounds_s > self._plan.budget_s:
            raise TuningError(
                f"loading takes {self._load_s:.1f} s and one round {self._round_s:.1f} s with this model: "
                f"give it at least --budget {math.ceil(max(wanted_s, rounds_s))}s"
            )

    async def _search(self, control: Trial) -> Outcome:
        best = self._ledger.control
        for stage in self._plan.stages:
            best = await self._run_stage(stage, best, control)
        return await self._decide(best, control)

    async def _timed_round(self, control: Trial) -> None:
        before_s = self._budget.took_s
        await control.measure()
        self._round_s = self._budget.took_s - before_s

    def _final_s(self, candidates: int) -> float:
        """What the final measurement of so many takes at least."""
        return candidates * self._load_s + _LEAST_FINAL_ROUNDS * (candidates + 1) * self._round_s

    async def _run_stage(self, stage: Stage, best: Entry, control: Trial) -> Entry:
        """Halve the stage's candidates until one is left, or its time is over; give the best so far."""
        left_s = self._budget.left_s - max(_FINAL_SHARE * self._plan.budget_s, self._final_s(1))
        deadline_s = self._budget.took_s + min(stage.share * self._plan.budget_s, left_s)
        entries = [self._ledger.entry(one) for one in stage.vary(best.candidate)]
        if stage is self._plan.stages[0]:
            entries = [*self._baselines, *entries]
        await finishes_within(left_s, lambda: self._halve(stage.name, entries, control, deadline_s))
        for entry in entries:
            if not entry.samples and entry.state in ("waiting", "running"):
                entry.state, entry.note = "not tried", "the budget was spent"
        return self._best_of(best, entries)

    async def _halve(self, stage: str, entries: list[Entry], control: Trial, deadline_s: float) -> None:
        left, rounds = entries, 1
        while left:
            left = await self._run_rung(stage, left, rounds, control, deadline_s)
            if len(left) < 2 or self._budget.took_s >= deadline_s:
                break
            ranked = sorted(left, key=self._ledger.score, reverse=True)
            left = ranked[: math.ceil(len(ranked) / 2)]
            for entry in ranked[len(left) :]:
                entry.state = "out"
            rounds *= 2

    def _best_of(self, best: Entry, entries: list[Entry]) -> Entry:
        # One that had a single round beside others that had more won nothing but a draw of luck.
        most = max((len(one.samples) for one in entries), default=0)
        return self._ledger.better(best, [one for one in entries if one.samples and len(one.samples) == most])

    async def _run_rung(
        self, stage: str, entries: list[Entry], rounds: int, control: Trial, deadline_s: float
    ) -> list[Entry]:
        size = self._laboratory.most_at_once - 1
        for begin in range(0, len(entries), size):
            group = entries[begin : begin + size]
            waiting = [one.candidate.name for one in entries[begin:]]
            if not self._has_time(group, rounds, deadline_s):
                group = [one for one in group if one.is_baseline and not one.samples]
            if not group:
                break
            self._tell(f"{stage}, {rounds} round{'s' if rounds > 1 else ''} each", waiting)
            await self._run_group(group, rounds, control)
        return [one for one in entries if one.samples and self._ledger.may_win(one)]

    def _has_time(self, group: Sequence[Entry], rounds: int, deadline_s: float) -> bool:
        expected_s = len(group) * self._open_s + rounds * (len(group) + 1) * self._round_s
        return self._budget.took_s + expected_s <= deadline_s

    async def _run_group(self, group: Sequence[Entry], rounds: int, control: Trial) -> None:
        before_s = self._budget.took_s
        async with opened(self._laboratory, group, usual_s=self._load_s) as running:
            loaded_s = self._budget.took_s - before_s
            for entry, trial in running:
                await self._compare(entry, trial)
            # How long it took to refuse one says nothing of the others.
            if len(running) == len(group):
                self._load_s = max(self._load_s, loaded_s / len(group))
                self._open_s = max(self._open_s, (self._budget.took_s - before_s) / len(group))
            sound = [(entry, trial) for entry, trial in running if self._is_measured(entry)]
            for _ in range(rounds if sound else 0):
                await measure_in_turn(control, sound)

    def _is_measured(self, entry: Entry) -> bool:
        if entry.is_baseline:
            return entry.state != "failed"
        return entry.state not in ("failed", "too far", "same")

    async def _compare(self, entry: Entry, trial: Trial) -> None:
        """Note how far from the reference it is, once; beyond the bound it can't win."""
        entry.state = entry.state if entry.state == "too far" else "running"
        if entry.distance is not None:
            return
        try:
            entry.distance = distance(self._reference, await trial.logprobs())
        except CandidateError as error:
            entry.state, entry.note = "failed", error.message
            return
        if entry.distance > self._bound:
            entry.state = "too far"
            entry.note = f"{entry.distance:.4f} nats from the reference, more than {self._bound:.4f}"
        elif (twin := self._ledger.twin(entry)) and not entry.is_baseline:
            entry.state, entry.note = "same", f"computes what {twin.candidate.name} does"

    async def _decide(self, best: Entry, control: Trial) -> Outcome:
        """Measure the best beside the control and the baselines until the time is over."""
        group = self._finalists(best)
        self._tell("the best against what is used now", [one.candidate.name for one in group])
        earlier = [len(one.samples) for one in group]
        if group:
            await finishes_within(self._budget.most_left_s, lambda: self._run_final(group, control))
        if self._final_rounds >= _LEAST_FINAL_ROUNDS:
            for entry, count in zip(group, earlier, strict=True):
                del entry.samples[:count], entry.control[:count]
        return self._outcome(best)

    def _finalists(self, best: Entry) -> list[Entry]:
        """The best, and those of the baselines for which there are places and time; one at least."""
        wanted = [best] if best is not self._ledger.control else []
        others = [one for one in self._baselines if one is not best and one.state != "failed"]
        others = others[: self._laboratory.most_at_once - 1 - len(wanted)]
        group = [*wanted, *others]
        while len(group) > 1 and self._final_s(len(group)) > self._budget.left_s:
            group.pop()
        return group

    async def _run_final(self, group: Sequence[Entry], control: Trial) -> None:
        async with opened(self._laboratory, group, usual_s=self._load_s) as running:
            for entry, _ in running:
                if entry.state == "not tried":
                    entry.state, entry.note = "running", ""
            expected_s = (len(running) + 1) * self._round_s
            for done in range(_MOST_FINAL_ROUNDS):
                if done >= _LEAST_FINAL_ROUNDS and expected_s > self._budget.left_s:
                    break
                await measure_in_turn(control, running)
                self._final_rounds += 1

    def _outcome(self, best: Entry) -> Outcome:
        reason = self._why_not(best)
        own = self._ledger.control
        own.samples = own.control = max((one.control for one in self._ledger.entries), key=len, default=[])
        return Outcome(
            winner=own if reason else best,
            ledger=self._ledger,
            bound=self._bound,
            reason=reason or "better than what is used now beyond noise",
            took_s=self._budget.took_s,
        )

    def _why_not(self, best: Entry) -> str:
        """Why the best is not chosen; empty when it is."""
        if best is self._ledger.control:
            return "nothing was better than what is used now"
        if not best.samples or not self._ledger.may_win(best):
            return f"{best.candidate.name} failed in the end: {best.note}"
        if self._final_rounds < _LEAST_FINAL_ROUNDS:
            return f"{best.candidate.name} was best, but the budget was spent before that could be measured"
        if not is_beyond_noise(self._plan.objective, best.samples, best.control):
            return f"{best.candidate.name} was best, but not beyond noise"
        if not self._ledger.keeps_enough(best):
            return f"{best.candidate.name} loses too much at many requests"
        return ""


def _only(running: Sequence[tuple[Entry, Trial]], candidate: Candidate) -> Trial:
    """The one trial that was opened.

    Raises:
        TuningError: the engine refused it.
    """
    if not running:
        raise TuningError(f"the engine does not run this model with {candidate.name}")
    return running[0][1]

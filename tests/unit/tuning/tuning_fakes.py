"""A laboratory without engines: scripted speeds, and a clock that only it moves."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.tuning.candidate import Candidate, Sample
from service.tuning.errors import CandidateError
from service.tuning.objective import Objective
from service.tuning.plan import Plan
from service.tuning.space import Stage

CONTROL = Candidate(name="shipped")
DEFAULTS = Candidate(name="engine defaults")
REFERENCE = Candidate(name="reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How a candidate behaves: its true figures, how far off its scores are, whether it fails, and when.

    open_s: how long it loads, where that is not as long as the others.
    """

    alone: float = 100.0
    together: float = 1000.0
    ttft_s: float = 0.1
    off: float = 0.05
    fails_at: str = ""
    open_s: float | None = None


@dataclass(slots=True)
class ScriptedLaboratory:
    """Loads, scores and rounds take seconds of its own clock; figures vary by `noise`.

    Of the candidate `stuck` no load ends from the time on at which it was loaded `stuck_after` times.
    """

    scripts: Mapping[str, Script]
    noise: float = 0.0
    most_at_once: int = 3
    now_s: float = 1000.0
    open_s: float = 2.0
    score_s: float = 1.0
    round_s: float = 3.0
    least_round_s: float = 0.5
    open_now: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    most_open: int = 0
    stuck: str = ""
    stuck_after: int = 0
    draw: random.Random = field(default_factory=lambda: random.Random(1))

    def clock(self) -> float:
        return self.now_s

    async def open(self, candidate: Candidate) -> "ScriptedTrial":
        if candidate.name == self.stuck and self.opened.count(self.stuck) >= self.stuck_after:
            await asyncio.Event().wait()
        script = self.scripts.get(candidate.name, Script())
        self.now_s += self.open_s if script.open_s is None else script.open_s
        if script.fails_at == "open":
            raise CandidateError("scripted refusal")
        self.open_now.append(candidate.name)
        self.opened.append(candidate.name)
        self.most_open = max(self.most_open, len(self.open_now))
        return ScriptedTrial(self, candidate.name, script)

    def fit_rounds(self, round_s: float) -> None:
        self.round_s = max(self.least_round_s, min(self.round_s, round_s))


@dataclass(slots=True)
class ScriptedTrial:
    laboratory: ScriptedLaboratory
    name: str
    script: Script

    async def measure(self) -> Sample:
        if self.script.fails_at == "measure":
            raise CandidateError("scripted death")
        self.laboratory.now_s += self.laboratory.round_s
        return Sample(
            alone_per_s=self._noisy(self.script.alone),
            together_per_s=self._noisy(self.script.together),
            ttft_s=self._noisy(self.script.ttft_s),
        )

    async def logprobs(self) -> list[float]:
        self.laboratory.now_s += self.laboratory.score_s
        off = 0.0 if self.name == REFERENCE.name else self.script.off
        return [-1.0 + off, -2.0 - off]

    async def close(self) -> None:
        self.laboratory.open_now.remove(self.name)

    def _noisy(self, figure: float) -> float:
        return figure * (1 + self.laboratory.draw.uniform(-1, 1) * self.laboratory.noise)


def plan(
    *stages: Sequence[Candidate], objective: Objective = "balanced", budget_s: float = 300, share: float = 0.4
) -> Plan:
    return Plan(
        objective=objective,
        budget_s=budget_s,
        reference=REFERENCE,
        control=CONTROL,
        baselines=(DEFAULTS,),
        stages=tuple(
            Stage(name=f"stage {index}", share=share, vary=lambda _best, found=found: list(found))
            for index, found in enumerate(stages)
        ),
    )

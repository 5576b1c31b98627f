"""Keeps what was measured of each candidate beside the control, and ranks them."""

from dataclasses import dataclass, field
from typing import Literal

from service.tuning.candidate import NO_GAIN, Candidate, Gain, Sample, gain, medians
from service.tuning.objective import (
    LEAST_GAIN,
    LEAST_GAIN_OF_ONE_ROUND,
    Objective,
    admits,
    keeps_enough,
    score,
)

State = Literal["waiting", "running", "out", "not tried", "too far", "same", "failed"]


@dataclass(slots=True, kw_only=True)
class Entry:
    """A candidate's story. `samples` and `control` were measured in turn, and are of one length.

    distance: to the reference, in nats; None where nobody measured it. is_baseline: measured whatever comes
    of it. note: why it is out.
    """

    candidate: Candidate
    samples: list[Sample] = field(default_factory=list)
    control: list[Sample] = field(default_factory=list)
    distance: float | None = None
    is_baseline: bool = False
    state: State = "waiting"
    note: str = ""

    @property
    def gain(self) -> Gain | None:
        """What it gains over the control; None before its first round."""
        return gain(self.samples, self.control) if self.samples else None

    @property
    def figures(self) -> Sample | None:
        """The medians of its own figures."""
        return medians(self.samples) if self.samples else None


class Ledger:
    """All candidates of one search, ranked by the objective; the control is what is used now."""

    def __init__(self, objective: Objective, control: Candidate) -> None:
        self.objective: Objective = objective
        self.control = Entry(candidate=control)
        self._entries: dict[str, Entry] = {}

    def entry(self, candidate: Candidate) -> Entry:
        """The candidate's entry, made when it is new."""
        return self._entries.setdefault(candidate.name, Entry(candidate=candidate))

    @property
    def entries(self) -> list[Entry]:
        """All but the control's, in the order of their coming."""
        return list(self._entries.values())

    @property
    def usual_together(self) -> float:
        """The gain at many requests that can be had without a tuning: the control's own, 1, at least."""
        baselines = (one for one in self.entries if one.is_baseline and admits(self.objective, one.candidate))
        return max([1.0, *(one.gain.together for one in baselines if one.gain)])

    def score(self, entry: Entry) -> float:
        """How good it is; 0 before its first round, or when it may not win."""
        if entry is self.control:
            return score(self.objective, NO_GAIN, usual_together=self.usual_together)
        if entry.gain is None or not self.may_win(entry):
            return 0.0
        return score(self.objective, entry.gain, usual_together=self.usual_together)

    def twin(self, entry: Entry) -> Entry | None:
        """Another one that computes the same numbers, as its distance tells, and that the engine runs."""
        return next(
            (
                one
                for one in (self.control, *self.entries)
                if one.distance == entry.distance
                and one.state not in ("same", "failed")
                and entry.candidate.differs_in_numbers_alone(one.candidate)
            ),
            None,
        )

    def may_win(self, entry: Entry) -> bool:
        """Whether nothing but speed keeps it from being chosen."""
        is_sound = entry.state not in ("failed", "too far", "same")
        return is_sound and admits(self.objective, entry.candidate)

    def keeps_enough(self, entry: Entry) -> bool:
        """Whether it loses no more at many requests than the objective allows."""
        if entry.gain is None:
            return False
        return keeps_enough(self.objective, entry.gain, usual_together=self.usual_together)

    def better(self, best: Entry, entries: list[Entry]) -> Entry:
        """The one of the greatest score, if that is beyond noise above the `best` so far's; else that one."""
        found = max((one for one in entries if self.keeps_enough(one)), key=self.score, default=best)
        least_gain = LEAST_GAIN if len(found.samples) > 1 else LEAST_GAIN_OF_ONE_ROUND
        return found if self.score(found) >= (1 + least_gain) * self.score(best) else best

"""Summarises the rounds of contenders; pure."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from benchmarks.compare.intervals import Estimate, estimate
from benchmarks.compare.measurement import Measured
from benchmarks.compare.results import METRICS, Figures, Versus
from benchmarks.stats import Spread, spread

Summary = TypeVar("Summary", Estimate, Spread)


def figures(rounds: Sequence[Measured]) -> Figures:
    """Summarise a contender's rounds. Raises: ValueError for none."""
    return Figures(
        rounds=[one.round for one in rounds],
        tokens_per_s=_known(estimate([one.round.tokens_per_s for one in rounds])),
        ttft_s=_known(spread([value for one in rounds for value in one.ttft_s])),
        itl_s=_known(spread([value for one in rounds for value in one.itl_s])),
        disturbed_rounds=sum(one.is_disturbed for one in rounds),
    )


def versus(ours: str, peer: str, found: Mapping[str, Sequence[Measured]]) -> Versus:
    """Divide ours by a peer's, round by round: both had the same prompts, one after the other."""
    by_round = {}
    for metric in METRICS:
        above = [getattr(one.round, metric) for one in found[ours]]
        below = [getattr(one.round, metric) for one in found[peer]]
        # Tokens that come several at once have gaps of nothing: no ratio says anything then.
        if min(below) > 0:
            by_round[metric] = [a / b for a, b in zip(above, below, strict=True)]
    return Versus(
        ours=ours,
        peer=peer,
        by_round=by_round,
        estimates={metric: _known(estimate(values)) for metric, values in by_round.items()},
    )


def _known(summary: Summary | None) -> Summary:
    if summary is None:
        raise ValueError("no rounds have no figures")
    return summary

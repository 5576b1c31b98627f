"""Shows what a search found: a table for people, JSON for programs."""

import json
from pathlib import Path

from rich.table import Table
from rich.text import Text

from service.bootstrap.tuning import engine_defaults, shipped_defaults
from service.tuning.candidate import Gain
from service.tuning.ledger import Entry
from service.tuning.search import Outcome

_COLUMNS = ("settings", "n=1 tok/s", "n=64 tok/s", "first ms", "off by", "x engine's", "x shipped", "")


def table(outcome: Outcome) -> Table:
    """A row for each candidate, those that were measured before the others."""
    caption = (
        "n=1, n=64: output tokens/s of one and of 64 requests. first: ms to a long prompt's first token. "
        f"off by: nats from exact float32, at most {outcome.bound:.4f}. "
        "x: times the engine's own defaults and the shipped ones, n=1 / n=64, measured in turn."
    )
    shown = Table(box=None, pad_edge=False, caption=caption, caption_justify="left")
    for column in _COLUMNS:
        shown.add_column(column, overflow="fold", justify="left" if column in ("settings", "") else "right")
    for entry in _ordered(outcome):
        style = "bold" if entry is outcome.winner else "" if entry.samples else "dim"
        shown.add_row(*(Text(cell) for cell in _cells(entry, outcome)), style=style)
    return shown


def as_json(outcome: Outcome, stored: Path) -> str:
    """All of it; gains are over the control, `null` where nothing was measured."""
    content = {
        "objective": outcome.ledger.objective,
        "winner": outcome.winner.candidate.name,
        "reason": outcome.reason,
        "stored": str(stored),
        "took_s": round(outcome.took_s, 1),
        "bound_nats": outcome.bound,
        "candidates": [_fields(entry, outcome) for entry in _ordered(outcome)],
    }
    return json.dumps(content, indent=2)


def _ordered(outcome: Outcome) -> list[Entry]:
    entries = [outcome.ledger.control, *outcome.ledger.entries]
    return sorted(entries, key=lambda one: (not one.samples, one is not outcome.winner))


def _cells(entry: Entry, outcome: Outcome) -> tuple[str, ...]:
    figures = entry.figures
    return (
        entry.candidate.name,
        f"{figures.alone_per_s:.1f}" if figures else "",
        f"{figures.together_per_s:.0f}" if figures else "",
        f"{1000 * figures.ttft_s:.0f}" if figures else "",
        f"{entry.distance:.4f}" if entry.distance is not None else "",
        _ratio(_over(entry, engine_defaults(outcome))),
        _ratio(_over(entry, shipped_defaults(outcome))),
        _verdict(entry, outcome),
    )


def _fields(entry: Entry, outcome: Outcome) -> dict[str, object]:
    figures, candidate = entry.figures, entry.candidate
    return {
        "name": candidate.name,
        "properties": dict(candidate.properties),
        "max_batched_tokens": candidate.max_batched_tokens,
        "max_running": candidate.max_running,
        "rounds": len(entry.samples),
        "alone_per_s": figures.alone_per_s if figures else None,
        "together_per_s": figures.together_per_s if figures else None,
        "ttft_s": figures.ttft_s if figures else None,
        "distance_nats": entry.distance,
        "over_engine_defaults": _pair(_over(entry, engine_defaults(outcome))),
        "over_shipped_defaults": _pair(_over(entry, shipped_defaults(outcome))),
        "verdict": _verdict(entry, outcome),
    }


def _over(entry: Entry, other: Entry | None) -> Gain | None:
    if entry.gain is None or other is None or other.gain is None:
        return None
    return entry.gain.over(other.gain)


def _ratio(gain: Gain | None) -> str:
    return f"{gain.alone:.2f} / {gain.together:.2f}" if gain else ""


def _pair(gain: Gain | None) -> dict[str, float] | None:
    return {"alone": gain.alone, "together": gain.together, "first_token": gain.first_token} if gain else None


def _verdict(entry: Entry, outcome: Outcome) -> str:
    if entry is outcome.winner:
        return "chosen"
    if entry.state in ("failed", "too far", "same", "not tried"):
        return f"{entry.state}: {entry.note}"
    return f"{len(entry.samples)} rounds" if len(entry.samples) > 1 else "1 round" if entry.samples else ""

"""Writes a comparison as Markdown tables; pure."""

from collections.abc import Callable, Iterator, Sequence

from benchmarks.compare.intervals import Estimate
from benchmarks.compare.records import CompareRecord
from benchmarks.compare.results import METRICS, CompareResults, Figures, Level, Side, Versus
from benchmarks.stats import Spread

_MS = 1000.0
# Enough to tell files apart; the record has them whole.
_HASH_DIGITS = 12


def render(record: CompareRecord) -> str:
    """The whole document."""
    results, settings = record.results, record.settings
    parts = [
        "# Servers side by side",
        f"{record.caption}. Each request has {settings.prompt_words} words of prompt and exactly "
        f"{settings.tokens} output tokens, greedy, streamed over HTTP; the same new prompts for all in each "
        f"of {settings.rounds} rounds, one server busy at a time, in turns.",
        "## Contenders",
        *_contenders(results.sides),
        "## Output tokens per second",
        f"Median of the rounds, with its interval ({interval_name(results)}).",
        _by_level(results, lambda one: _estimate(one.tokens_per_s, ".1f")),
        "## Time to the first token, p50 / p99 in ms",
        _by_level(results, lambda one: _milliseconds(one.ttft_s)),
        "## Time between tokens, p50 / p99 in ms",
        _by_level(results, lambda one: _milliseconds(one.itl_s)),
        "## Ratios",
        "Ours over the peer's, round by round: median with its interval. More is better for tokens per "
        "second, less for times.",
        _ratios(results.levels),
        *_notes(results),
    ]
    return "\n\n".join(parts) + "\n"


def interval_name(results: CompareResults) -> str:
    """What the intervals are, in words."""
    confidences = {
        round(100 * one.tokens_per_s.confidence, 2)
        for level in results.levels
        for one in level.figures.values()
    }
    ends = sorted({min(confidences), max(confidences)}) if confidences else []
    shown = " to ".join(f"{value:g}%" for value in ends) or "-"
    return f"order statistics, as the sign test gives them; confidence {shown}"


def _contenders(sides: Sequence[Side]) -> Iterator[str]:
    rows = [
        [side.label, _weights(side), _versions(side), _settings(side), _idle(side), side.failure or "-"]
        for side in sides
    ]
    titles = [
        "contender",
        "weights, SHA-256",
        "versions",
        "settings",
        "CPU while waiting",
        "left out because",
    ]
    yield table(titles, rows, left=len(titles))
    lines = [f"# {side.label}\n{side.launch_line}" for side in sides if side.launch_line]
    if lines:
        yield "Started by:"
        yield "```bash\n" + "\n".join(lines) + "\n```"


def _by_level(results: CompareResults, cell: Callable[[Figures], str]) -> str:
    def cells(label: str) -> Iterator[str]:
        for level in results.levels:
            yield cell(level.figures[label]) if label in level.figures else "-"

    rows = [[side.label, *cells(side.label)] for side in results.sides]
    return table(["requests at once", *(str(level.concurrency) for level in results.levels)], rows)


def _ratios(levels: Sequence[Level]) -> str:
    rows = [
        [
            f"{one.ours} / {one.peer}",
            str(level.concurrency),
            *(_ratio(one, metric) for metric in METRICS),
        ]
        for one, level in sorted(
            ((one, level) for level in levels for one in level.ratios),
            key=lambda pair: (pair[0].ours, pair[0].peer, pair[1].concurrency),
        )
    ]
    titles = ["ours / peer", "at once", "tokens/s", "first token p50", "p99", "between tokens p50", "p99"]
    return table(titles, rows)


def _ratio(one: Versus, metric: str) -> str:
    return _estimate(one.estimates[metric], ".2f") if metric in one.estimates else "-"


def _notes(results: CompareResults) -> Iterator[str]:
    notes = []
    for level in results.levels:
        counts = {
            label: [one.prompt_tokens for one in found.rounds] for label, found in level.figures.items()
        }
        if len({tuple(rounds) for rounds in counts.values()}) > 1:
            shown = ", ".join(f"{label} {sum(rounds)}" for label, rounds in counts.items())
            notes.append(f"At {level.concurrency} at once servers counted different prompt tokens: {shown}.")
        for label, found in level.figures.items():
            events, tokens = sum(one.events for one in found.rounds), sum(one.tokens for one in found.rounds)
            if events < tokens:
                notes.append(
                    f"{label} at {level.concurrency} at once: {tokens} tokens came in {events} events."
                )
            if retried := sum(one.retried for one in found.rounds):
                notes.append(f"{label} at {level.concurrency} at once: {retried} requests were sent again.")
            if found.disturbed_rounds:
                notes.append(
                    f"{label} at {level.concurrency} at once: other processes took over a twentieth of the "
                    f"machine in {found.disturbed_rounds} of {len(found.rounds)} rounds."
                )
    if notes:
        yield "## Notes"
        yield "\n".join(f"- {note}" for note in notes)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table whose first `left` columns are aligned to the left, the others to the right."""
    marks = ["---" if number < left else "---:" for number in range(len(titles))]
    lines = [titles, marks, *([_one_line(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _estimate(one: Estimate, digits: str) -> str:
    return f"{one.median:{digits}} ({one.low:{digits}} to {one.high:{digits}})"


def _milliseconds(one: Spread) -> str:
    return f"{_MS * one.p50:.1f} / {_MS * one.p99:.1f}"


def _weights(side: Side) -> str:
    hashes = (f"{name} {sha256[:_HASH_DIGITS]}" for name, sha256 in side.weights_sha256.items())
    return "; ".join((side.weights, *hashes))


def _settings(side: Side) -> str:
    engine = f"engine: {side.engine_settings}" if side.engine_settings else ""
    return "; ".join(filter(None, (side.settings, engine))) or "-"


def _versions(side: Side) -> str:
    return ", ".join(f"{name} {version}" for name, version in side.versions.items()) or "-"


def _idle(side: Side) -> str:
    if side.idle_share is None:
        return "-"
    return f"{side.idle_share:.3f} cores" + ("; stopped between turns" if side.is_suspended else "")

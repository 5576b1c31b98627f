"""Prints what clients saw."""

from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.stats import median
from benchmarks.tables import new_table, pairs_table, ratio_text
from benchmarks.traffic.bootstrap import Distribution, Estimate
from benchmarks.traffic.cross_check import CrossCheckResults
from benchmarks.traffic.measures import Measures
from benchmarks.traffic.run import Stage, TrafficResults

_MS = 1000
_NAMES = {"output_tokens_per_s": "output", "ttft_s": "TTFT", "tpot_s": "TPOT"}
_LATENCIES: dict[str, Callable[[Measures], Distribution | None]] = {
    "first token, TTFT": lambda one: one.ttft_s,
    "between chunks, ITL": lambda one: one.itl_s,
    "per token, TPOT": lambda one: one.tpot_s,
    "end to end": lambda one: one.end_to_end_s,
    "due until sent": lambda one: one.send_delay_s,
    "server's queue": lambda one: one.queue_s,
}


def show_traffic(results: TrafficResults, console: Console) -> None:
    """Print one stage in full, several in a row each."""
    if len(results.stages) == 1:
        _show_stage(results.stages[0], console)
    else:
        _show_stages(results, console)
    for stage in results.stages:
        _show_failures(stage, console)


def show_cross_check(results: CrossCheckResults, console: Console) -> None:
    """Print both sides' medians over the rounds, and whether they agree."""
    names = ("ours", "guidellm", "ratio by round: median (least to greatest)", "within 5%")
    table = new_table("Medians of the rounds", "", *names)
    for one in results.comparisons:
        factor, unit = (1, "tokens/s") if one.name == "output_tokens_per_s" else (_MS, "ms")
        table.add_row(
            f"closed:{one.concurrency}, {_NAMES[one.name]}, {unit}",
            f"{factor * median(one.ours):.2f}",
            f"{factor * median(one.theirs):.2f}",
            ratio_text(one.ratio),
            "yes" if one.agrees else "no",
        )
    console.print(table)


def _show_stage(stage: Stage, console: Console) -> None:
    seen = stage.measures
    console.print(_rates(stage))
    table = _table("ms, 95% intervals in brackets")
    for title in ("", "p50", "p90", "p99", "n"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for title, pick in _LATENCIES.items():
        found = pick(seen)
        if found is not None:
            p50, p90, p99 = found.p50, found.p90, found.p99
            cells = (_interval(p50, _MS), _short(_MS * p90.value), _interval(p99, _MS))
            table.add_row(title, *cells, str(found.count))
    console.print(table)


def _rates(stage: Stage) -> Table:
    seen = stage.measures
    table = pairs_table(stage.arrival)
    table.add_row("answered in time", f"{seen.answered} in {seen.window_s:.1f} s")
    if stage.offered_per_s is not None:
        table.add_row("requests/s offered", f"{stage.offered_per_s:.2f}")
    table.add_row("requests/s", _interval(seen.requests_per_s))
    table.add_row("output tokens/s", _interval(seen.output_tokens_per_s))
    table.add_row("prompt and output tokens/s", _interval(seen.total_tokens_per_s))
    if seen.goodput_per_s is not None:
        share = "" if seen.good_share is None else f" ({100 * seen.good_share:.1f}% of all)"
        table.add_row("goodput, requests/s", f"{seen.goodput_per_s:.2f}{share}")
    if seen.tokens_per_chunk is not None:
        table.add_row("output tokens per chunk", f"{seen.tokens_per_chunk:.2f}")
    return table


def _show_stages(results: TrafficResults, console: Console) -> None:
    table = _table("From few to many; times in ms, goodput in requests/s")
    for title in ("", "req/s", "tokens/s", "TTFT p50/p99", "ITL p50/p99", "goodput", "failed"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for stage in results.stages:
        seen = stage.measures
        table.add_row(
            stage.arrival,
            _number(seen.requests_per_s.value),
            f"{seen.output_tokens_per_s.value:.1f}",
            _ends(seen.ttft_s),
            _ends(seen.itl_s),
            _number(seen.goodput_per_s),
            str(sum(seen.failures.values())),
        )
    console.print(table)
    borne = _number(results.borne_per_s)
    console.print(f"highest rate that answers kept up with, to 95%: {borne} requests/s", highlight=False)


def _table(title: str) -> Table:
    # Without lines between columns it fits into 80.
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _show_failures(stage: Stage, console: Console) -> None:
    seen = stage.measures
    if seen.failures:
        kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(seen.failures.items()))
        console.print(f"[bold red]{escape(stage.arrival)} failures[/] {escape(kinds)}", highlight=False)
    if seen.retried:
        console.print(f"{escape(stage.arrival)}: {seen.retried} requests were lost unread, and sent again")
    for reason in seen.reasons:
        console.print(f"  {escape(reason)}", highlight=False, soft_wrap=True)
    if stage.was_stopped:
        console.print(f"{escape(stage.arrival)} was stopped; {seen.unfinished} requests were broken off")


def _interval(one: Estimate, factor: float = 1.0) -> str:
    value, low, high = (_short(factor * number) for number in (one.value, one.low, one.high))
    return f"{value} \\[{low}, {high}]"


def _short(value: float) -> str:
    """Three digits at the least."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}"


def _ends(one: Distribution | None) -> str:
    return "-" if one is None else f"{_short(_MS * one.p50.value)}/{_short(_MS * one.p99.value)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

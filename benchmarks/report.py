"""Shows results as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from benchmarks.burst import BurstResults
from benchmarks.cpu import CpuTime
from benchmarks.crash import CrashResults, CrashSettings
from benchmarks.image_fuzz import FuzzResults
from benchmarks.overhead import ConcurrencyResult, OverheadResults
from benchmarks.slowloris import SlowlorisResults
from benchmarks.stats import Spread, median
from benchmarks.structured import StructuredResults
from benchmarks.tables import new_table, pairs_table, ratio_text
from benchmarks.vision import VisionResults
from benchmarks.vision_accuracy import AccuracyResults

_MS = 1000
_MIB = 2**20
_MOST_FAULTS_SHOWN = 10


def show_overhead(results: OverheadResults, console: Console) -> None:
    """Print a column for each concurrency."""
    columns = results.by_concurrency
    names = (str(column.concurrency) for column in columns)
    table = new_table("The service over the bare engine: medians of all rounds", "requests at once", *names)
    for name, cells in _overhead_rows(columns):
        table.add_row(name, *cells)
    console.print(table)
    for column in columns:
        if column.disturbed_rounds:
            console.print(
                f"[yellow]{column.disturbed_rounds} of {len(column.ratios)} rounds at {column.concurrency} "
                "were disturbed by other processes: measure again on a quiet machine[/]",
                soft_wrap=True,
            )
    show_faults(results.faults, console)


def show_burst(results: BurstResults, console: Console) -> None:
    """Print how the requests ended."""
    table = pairs_table(f"{results.requests} requests at once")
    table.add_row("taken at once, by /info", "unknown" if results.allowed is None else str(results.allowed))
    for status, count in sorted(({200: 0, 429: 0, 500: 0} | results.statuses).items()):
        table.add_row(f"status {status}", str(count))
    table.add_row("hung", str(results.hung))
    table.add_row("connection broken, or no text", str(len(results.broken)))
    table.add_row("exactly the allowed number answered", "yes" if results.is_exact else "no")
    table.add_row("last answer after", f"{results.longest_s:.2f} s")
    if results.longest_refusal_s is not None:
        table.add_row("last refusal after", f"{results.longest_refusal_s:.2f} s")
    console.print(table)
    show_faults(results.faults, console)


def show_crash(results: CrashResults, settings: CrashSettings, console: Console) -> None:
    """Print how the streams ended and when the service was back."""
    answered = "never" if results.answered_s is None else f"{results.answered_s:.2f} s"
    table = pairs_table(f"kill -9 of the engine under {results.streams} streams")
    table.add_row("tokens received before", str(results.tokens_before))
    table.add_row("streams that ended with an error event", f"{results.error_events} of {results.streams}")
    table.add_row(
        f"last stream ended after (limit {settings.end_limit_s:g} s)", f"{results.last_end_s:.3f} s"
    )
    table.add_row(f"next good answer after (limit {settings.answer_limit_s:g} s)", answered)
    console.print(table)
    show_faults(results.faults, console)


def show_structured(results: StructuredResults, console: Console) -> None:
    """Print how many answers were as asked for."""
    table = pairs_table(f"{results.requests} requests for JSON of {results.schemas} schemas")
    table.add_row("whole, and matching their schema", str(results.valid))
    table.add_row("cut by the limit of tokens", str(results.cut))
    for schema, count in results.cut_by_schema.items():
        table.add_row(f"  {schema}", str(count))
    table.add_row("tokens", str(results.generated_tokens))
    table.add_row("time", f"{results.elapsed_s:.1f} s")
    console.print(table)
    show_faults(results.faults, console)


def show_slowloris(results: SlowlorisResults, console: Console) -> None:
    """Print what slow clients cost the others."""
    table = pairs_table(f"Good requests with and without {results.slow_sockets} slow sockets")
    table.add_row("without, p50 / p99 ms (requests)", _milliseconds(results.quiet_s, with_count=True))
    table.add_row("with, p50 / p99 ms (requests)", _milliseconds(results.attacked_s, with_count=True))
    table.add_row("p50 with / without: median (least to greatest)", ratio_text(results.p50_ratio))
    table.add_row("p99 with / without: median (least to greatest)", ratio_text(results.p99_ratio))
    of_all = results.p99_ratio_of_all
    table.add_row("p99 with / without, all rounds together", "-" if of_all is None else f"{of_all:.3f}")
    table.add_row(
        "slow sockets opened a round, closed ones anew",
        ", ".join(str(count) for count in results.slow_sockets_opened),
    )
    console.print(table)
    show_faults(results.faults, console)


def show_vision(results: VisionResults, console: Console) -> None:
    """Print a column for each side."""
    sides = results.sides
    table = new_table("Streams of text, and what arrives beside them", "", *sides)
    rows = {
        "between tokens, p50 / p99 ms (gaps)": [
            _milliseconds(one.itl_s, with_count=True) for one in sides.values()
        ],
        "longest, ms": [f"{_MS * one.itl_s.highest:.1f}" if one.itl_s else "-" for one in sides.values()],
        "p50 / alone: median (least to greatest)": [ratio_text(one.p50_ratio) for one in sides.values()],
        "p99 / alone: median (least to greatest)": [ratio_text(one.p99_ratio) for one in sides.values()],
        "arrivals' first token, p50 / p99 ms": [
            _milliseconds(one.arrival_ttft_s, with_count=True) for one in sides.values()
        ],
    }
    for title, cells in rows.items():
        table.add_row(title, *cells)
    console.print(table)
    show_faults(results.faults, console)


def show_accuracy(results: AccuracyResults, console: Console) -> None:
    """Print how many answers were right, by the question's kind."""
    table = new_table("Answers that are right word for word", "question", "served", "unquantised")
    for kind, served in results.served.items():
        reference = None if results.reference is None else results.reference[kind]
        table.add_row(kind, _share(served), _share(reference))
    console.print(table)
    if results.same_as_reference is not None:
        console.print(f"answers equal to the unquantised model's: {results.same_as_reference}")
    console.print(f"time served: {results.elapsed_s:.1f} s")
    for question, right, given in results.wrong[:_MOST_FAULTS_SHOWN]:
        console.print(f"  {escape(question)} {escape(given)!r}, not {escape(right)!r}", highlight=False)
    show_faults(results.faults, console)


def show_fuzz(results: FuzzResults, console: Console) -> None:
    """Print how the files were answered, and what it cost."""
    table = pairs_table(f"{results.files} files that may be pictures")
    for status, count in sorted(({200: 0, 400: 0, 500: 0} | results.statuses).items()):
        table.add_row(f"status {status}" if status else "no answer", str(count))
    table.add_row("restarts of the engine", str(results.engine_restarts))
    before, after = results.rss_before_bytes / _MIB, results.rss_after_bytes / _MIB
    table.add_row("memory of the API process, before / after", f"{before:.0f} / {after:.0f} MiB")
    table.add_row("time", f"{results.elapsed_s:.1f} s")
    console.print(table)
    show_faults(results.faults, console)


def show_faults(faults: Sequence[str], console: Console) -> None:
    """Print what went wrong, or that nothing did."""
    if not faults:
        console.print("no failures")
        return
    console.print(f"[bold red]{len(faults)} failures[/]")
    for fault in faults[:_MOST_FAULTS_SHOWN]:
        console.print(f"  {escape(fault)}", highlight=False, soft_wrap=True)
    if len(faults) > _MOST_FAULTS_SHOWN:
        console.print(f"  and {len(faults) - _MOST_FAULTS_SHOWN} more")


def _overhead_rows(columns: Sequence[ConcurrencyResult]) -> list[tuple[str, list[str]]]:
    return [
        ("rounds x requests", [f"{len(one.ratios)} x {one.requests_per_round}" for one in columns]),
        ("raw, tokens/s", [f"{one.raw_median:.1f}" for one in columns]),
        ("served, tokens/s", [f"{one.served_median:.1f}" for one in columns]),
        ("served / raw: median", [f"{one.ratio.median:.3f}" if one.ratio else "-" for one in columns]),
        (
            "served / raw: lowest to highest",
            [f"{one.ratio.lowest:.3f} to {one.ratio.highest:.3f}" if one.ratio else "-" for one in columns],
        ),
        ("watched, tokens/s", [f"{median(one.watched_tokens_per_s):.1f}" for one in columns]),
        (
            "watched / raw: median",
            [f"{one.watched_ratio.median:.3f}" if one.watched_ratio else "-" for one in columns],
        ),
        ("first token, p50 / p99 ms", [_milliseconds(one.ttft_s) for one in columns]),
        ("watched: between tokens, p50 / p99 ms", [_milliseconds(one.itl_s) for one in columns]),
        (
            "watched: /health, p50 / p99 ms (probes)",
            [_milliseconds(one.health_s, with_count=True) for one in columns],
        ),
        ("served, CPU s a round: engine", [_cpu(one.served_cpu, "engine_s") for one in columns]),
        ("served, CPU s a round: API", [_cpu(one.served_cpu, "api_s") for one in columns]),
        ("served, CPU s a round: load client", [_cpu(one.served_cpu, "client_s") for one in columns]),
        ("watched, CPU s a round: API", [_cpu(one.watched_cpu, "api_s") for one in columns]),
        ("watched, CPU s a round: load client", [_cpu(one.watched_cpu, "client_s") for one in columns]),
        ("watched, CPU s a round: /health probe", [_cpu(one.watched_cpu, "probe_s") for one in columns]),
        ("served, CPU s a round: others", [_cpu(one.served_cpu, "others_s") for one in columns]),
        ("raw, CPU s a round: engine", [_cpu(one.raw_cpu, "raw_s") for one in columns]),
        ("raw, CPU s a round: others", [_cpu(one.raw_cpu, "others_s") for one in columns]),
        ("failures", [str(len(one.faults)) for one in columns]),
    ]


def _share(counts: tuple[int, int] | None) -> str:
    return "-" if counts is None else f"{counts[0]} of {counts[1]} ({100 * counts[0] / counts[1]:.1f}%)"


def _milliseconds(values: Spread | None, *, with_count: bool = False) -> str:
    if values is None:
        return "-"
    count = f" ({values.count})" if with_count else ""
    return f"{_MS * values.p50:.1f} / {_MS * values.p99:.1f}{count}"


def _cpu(rounds: Sequence[CpuTime], field: str) -> str:
    return f"{median([getattr(one, field) for one in rounds]):.2f}"

"""Draws a comparison: throughput, latency, ratios; each as SVG and PNG.

The background is white whatever the page's, so that they read in dark mode, too. Colours are Okabe and Ito's,
which the colour-blind tell apart; markers differ as well.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.compare.markdown import interval_name
from benchmarks.compare.records import CompareRecord
from benchmarks.compare.results import CompareResults, Figures, Level
from benchmarks.stats import Spread

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^DvPX"
_MS = 1000.0
_DPI = 150
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "tiber-serve",
    "svg.fonttype": "path",
}


def draw(record: CompareRecord, folder: Path) -> list[Path]:
    """Write all plots into `folder`; give their paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawings: dict[str, Callable[[Any, CompareRecord], Any]] = {
        "throughput": _throughput,
        "latency": _latency,
        "ratios": _ratios,
    }
    written = []
    for name, drawing in drawings.items():
        with matplotlib.rc_context(_STYLE):
            figure = drawing(plt, record)
            figure.supxlabel(_footer(record), fontsize=7, color="#555555", x=0.01, ha="left")
            for suffix, metadata in (("svg", {"Date": None}), ("png", None)):
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, dpi=_DPI, metadata=metadata)
                written.append(path)
            plt.close(figure)
    return written


def _throughput(plt: Any, record: CompareRecord) -> Any:  # noqa: ANN401 - matplotlib's are untyped
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for label, colour, marker, points in _lines(record.results):
        middles = [found.tokens_per_s for _, found in points]
        below = [one.median - one.low for one in middles]
        above = [one.high - one.median for one in middles]
        concurrencies = [level.concurrency for level, _ in points]
        axes.errorbar(
            concurrencies,
            [one.median for one in middles],
            yerr=[below, above],
            label=label,
            color=colour,
            marker=marker,
            capsize=3,
        )
    _concurrency_axis(axes, record.results)
    _plain_log(axes.yaxis)
    axes.set_ylabel("output tokens/s (log)")
    axes.set_title("Throughput: median of the rounds, with its interval")
    _legend(axes)
    return figure


def _latency(plt: Any, record: CompareRecord) -> Any:  # noqa: ANN401
    figure, both = plt.subplots(1, 2, figsize=(10, 4.8), layout="constrained")
    panels: tuple[tuple[str, Callable[[Figures], Spread]], ...] = (
        ("Time to the first token", lambda found: found.ttft_s),
        ("Time between tokens", lambda found: found.itl_s),
    )
    for axes, (title, values) in zip(both, panels, strict=True):
        for label, colour, marker, points in _lines(record.results):
            concurrencies = [level.concurrency for level, _ in points]
            p50 = [_MS * values(found).p50 for _, found in points]
            p99 = [_MS * values(found).p99 for _, found in points]
            axes.plot(concurrencies, p50, color=colour, marker=marker, label=label)
            axes.plot(
                concurrencies, p99, color=colour, marker=marker, linestyle="--", markerfacecolor="white"
            )
        _concurrency_axis(axes, record.results)
        _plain_log(axes.yaxis)
        axes.set_ylabel("ms (log)")
        axes.set_title(f"{title}: p50 solid, p99 dashed")
    _legend(both[0])
    return figure


def _ratios(plt: Any, record: CompareRecord) -> Any:  # noqa: ANN401
    pairs: dict[str, list[tuple[int, Any]]] = {}
    for level in record.results.levels:
        for one in level.ratios:
            pairs.setdefault(f"{one.ours} / {one.peer}", []).append(
                (level.concurrency, one.estimates["tokens_per_s"])
            )
    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    places = {level.concurrency: place for place, level in enumerate(record.results.levels)}
    for number, (name, points) in enumerate(pairs.items()):
        # Beside one another, not over one another.
        shift = 0.14 * (number - (len(pairs) - 1) / 2)
        axes.errorbar(
            [places[concurrency] + shift for concurrency, _ in points],
            [one.median for _, one in points],
            yerr=[[one.median - one.low for _, one in points], [one.high - one.median for _, one in points]],
            label=name,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle="none",
            capsize=3,
        )
    axes.axhline(1, color="#555555", linewidth=1)
    axes.set_yscale("log")
    axes.minorticks_off()
    _plain_log(axes.yaxis)
    axes.set_xticks(list(places.values()), [str(concurrency) for concurrency in places])
    axes.set_xlabel("requests at once")
    axes.set_ylabel("ratio of output tokens/s (log)")
    axes.set_title("Ours over the peer's, round by round: median with its interval")
    _legend(axes)
    return figure


def _lines(results: CompareResults) -> Iterator[tuple[str, str, str, list[tuple[Level, Figures]]]]:
    for number, side in enumerate(results.sides):
        points = [
            (level, level.figures[side.label])
            for level in sorted(results.levels, key=lambda level: level.concurrency)
            if side.label in level.figures
        ]
        if points:
            yield side.label, _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)], points


def _concurrency_axis(axes: Any, results: CompareResults) -> None:  # noqa: ANN401
    concurrencies = sorted(level.concurrency for level in results.levels)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_xticks(concurrencies, [str(concurrency) for concurrency in concurrencies])
    axes.set_xlabel("requests at once (log)")


def _legend(axes: Any) -> None:  # noqa: ANN401
    # None where every contender failed: matplotlib would warn.
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _plain_log(axis: Any) -> None:  # noqa: ANN401
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _footer(record: CompareRecord) -> str:
    settings = record.settings
    return (
        f"{record.caption}; {settings.tokens} tokens out, {settings.rounds} rounds in turns; intervals: "
        f"{interval_name(record.results)}"
    )

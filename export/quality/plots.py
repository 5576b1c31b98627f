"""Draws a report's figures as SVG files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.quality.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KL_FILE, KINDS_FILE, GREEDY_FILE = "report-kl.svg", "report-kinds.svg", "report-greedy.svg"
FILES = (KL_FILE, KINDS_FILE, GREEDY_FILE)
BLUE, ORANGE, GREY = "#0068b5", "#e96115", "#5b6673"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#222",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "svg.hashsalt": "tiber-serve",  # the same report draws the same bytes
}


def draw(report: Report, folder: Path) -> None:
    """Write the figures beside the report."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        for name, height, paint in (
            (KL_FILE, 3.2, _paint_kl),
            (KINDS_FILE, 3.2, _paint_kinds),
            (GREEDY_FILE, 2.8, _paint_greedy),
        ):
            figure = Figure(figsize=(7.2, height), layout="constrained")
            paint(report, figure.subplots())
            figure.savefig(folder / name, metadata={"Date": None})


def _paint_kl(report: Report, axes: "Axes") -> None:
    histogram, measures = report.kl_histogram, report.measures
    total = max(1, sum(histogram.counts))
    axes.stairs([100 * count / total for count in histogram.counts], histogram.edges, fill=True, color=BLUE)
    axes.set_xscale("log")
    axes.set_ylim(0, 115 * max(histogram.counts) / total or 1)  # room for the names of the lines
    for value, name, side in (
        (measures.kl_mean, "mean", "right"),
        (measures.kl_p99, "99th percentile", "left"),
    ):
        if value > 0:
            axes.axvline(value, color=ORANGE, linewidth=1.5)
            axes.annotate(
                f" {name} {value:.2g} ",
                (value, 0.97),
                xycoords=("data", "axes fraction"),
                ha=side,
                va="top",
                color=ORANGE,
            )
    axes.set_title("How far each next-token distribution is from the source's")
    axes.set_xlabel("KL(source || converted) at a position, nats (smaller is nearer)")
    axes.set_ylabel("positions, %")


def _paint_kinds(report: Report, axes: "Axes") -> None:
    kinds = list(report.by_kind)
    rows = range(len(kinds))
    top1 = [100 * report.by_kind[kind].top1_agreement for kind in kinds]
    sure = [100 * report.by_kind[kind].confident_agreement for kind in kinds]
    axes.barh([row - 0.2 for row in rows], top1, height=0.36, color=BLUE, label="all positions")
    axes.barh(
        [row + 0.2 for row in rows], sure, height=0.36, color="#8fc0e8", label="where the source is sure"
    )
    for row, kind in enumerate(kinds):
        label = f"{top1[row]:.1f}   perplexity x{report.by_kind[kind].perplexity_ratio:.3f}"
        axes.annotate(label, (101, row), va="center", fontsize=9, color=GREY, annotation_clip=False)
    axes.set_yticks(rows, kinds)
    axes.invert_yaxis()
    axes.set_xlim(min(80.0, *top1) - 2 if top1 else 80, 100)
    axes.grid(visible=False, axis="y")
    axes.set_title("The same first token, by kind of text")
    axes.set_xlabel("positions where both models put the same token first, %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, frameon=False, fontsize=9)


def _paint_greedy(report: Report, axes: "Axes") -> None:
    lengths = sorted(report.greedy.lengths, reverse=True)
    colors = [BLUE if length == report.greedy.limit else "#8fc0e8" for length in lengths]
    axes.bar(range(1, len(lengths) + 1), lengths, color=colors)
    axes.axhline(report.greedy.limit, color=GREY, linewidth=1, linestyle=":")
    axes.set_title(f"Greedy answers: {report.greedy.whole} of {len(lengths)} the same to the end")
    axes.set_xlabel("prompt, longest agreement first")
    axes.set_ylabel("tokens the same")
    axes.grid(visible=False, axis="x")

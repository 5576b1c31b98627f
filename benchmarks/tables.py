"""Makes the tables that commands print."""

from rich.table import Table

from benchmarks.stats import Ratio


def new_table(title: str, first: str, *others: str) -> Table:
    """A table of these columns, the others than the first aligned to the right."""
    made = Table(title=title, title_justify="left")
    made.add_column(first)
    for name in others:
        made.add_column(name, justify="right")
    return made


def pairs_table(title: str) -> Table:
    """A table of names and values, without a head."""
    made = Table(title=title, title_justify="left", show_header=False)
    made.add_column()
    made.add_column(justify="right")
    return made


def ratio_text(ratio: Ratio | None, digits: int = 3) -> str:
    """The median, then the lowest to the highest."""
    if ratio is None:
        return "-"
    return f"{ratio.median:.{digits}f} ({ratio.lowest:.{digits}f} to {ratio.highest:.{digits}f})"

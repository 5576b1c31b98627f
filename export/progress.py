"""Shows the steps of a conversion on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance = Callable[[float], None]
"""Tells the current step what part of it is done, 0 to 1."""


class Steps:
    """Prints each step as it ends, with a live bar meanwhile where stderr is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[Advance]:
        """Run the block as one step; it may call what it is given with the part that is done."""
        began_s = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        hidden = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=hidden) as progress:
            task = progress.add_task(title, total=None)
            yield lambda part: progress.update(task, total=1.0, completed=part)
        self.note(f"{title} [dim]{time.monotonic() - began_s:.1f} s[/dim]")

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, soft_wrap=True)

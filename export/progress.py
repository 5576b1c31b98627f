"""Shows the steps of a conversion on stderr."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

Advance = Callable[[float], None]
"""Tells the current step what part of it is done, 0 to 1."""

EVENT_PAUSE_S = 1.0  # between two events of one step's progress


class Steps:
    """Prints each step as it ends, with a live bar meanwhile where stderr is a terminal.

    With `json_lines` it writes events instead, one JSON object a line.
    """

    def __init__(self, console: Console, *, json_lines: bool = False) -> None:
        self._console = console
        self._json_lines = json_lines

    @contextmanager
    def step(self, title: str) -> Iterator[Advance]:
        """Run the block as one step; it may call what it is given with the part that is done."""
        began_s = time.monotonic()
        if self._json_lines:
            self._event("started", title=title)
            yield self._advance_by_events(title)
            self._event("step", title=title, seconds=round(time.monotonic() - began_s, 3))
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        hidden = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=hidden) as progress:
            task = progress.add_task(title, total=None)
            yield lambda part: progress.update(task, total=1.0, completed=part)
        self.note(f"{title} [dim]{time.monotonic() - began_s:.1f} s[/dim]")

    def note(self, text: str) -> None:
        """Print one line, which may hold rich's markup."""
        if self._json_lines:
            self._event("note", text=Text.from_markup(text).plain)
        else:
            self._console.print(text, highlight=False, soft_wrap=True)

    def _advance_by_events(self, title: str) -> Advance:
        last_s = time.monotonic()

        def advance(part: float) -> None:
            nonlocal last_s
            if time.monotonic() - last_s >= EVENT_PAUSE_S:
                last_s = time.monotonic()
                self._event("progress", title=title, part=round(part, 4))

        return advance

    def _event(self, event: str, **fields: object) -> None:
        self._console.file.write(json.dumps({"event": event, **fields}, ensure_ascii=False) + "\n")
        self._console.file.flush()

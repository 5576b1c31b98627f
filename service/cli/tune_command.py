"""The command tune."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.duration import parse_duration
from service.errors import ConfigError
from service.telemetry.logs import configure_logs
from service.tuning.objective import OBJECTIVES, Objective
from service.tuning.search import Outcome, Search
from service.tuning.store import TuningEntry, check, places, write

_LEAST_S, _MOST_S = 30, 24 * 3600
_INTERRUPTED = 130
_TICK_S = 0.5


def tune(
    model: Annotated[Path, typer.Argument(help="Folder of a converted model.")],
    objective: Annotated[
        str,
        typer.Option(
            help="latency: one request. throughput: 64 requests. balanced: both, with at most 5% lost at 64. "
            "reproducible: only what gives the same answer at any load."
        ),
    ] = "balanced",
    budget: Annotated[str, typer.Option(help="How long it may take: 90s, 5m, 1h.")] = "5m",
    device: Annotated[
        str | None, typer.Option(help="OpenVINO device, such as CPU or GPU. Default: the model's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to keep the result in; name it as `tuning_file` of the model's settings."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON, for programs.")] = False,
) -> None:
    """Find the engine's settings that are fastest for MODEL on this machine, and keep them for `serve`.

    Runs candidates in turn beside the defaults, halves their number again and again, and leaves out those
    whose answers are further from exact float32 than the defaults'. Nothing else should run meanwhile. The
    result is kept in MODEL/tuning.json, or below ~/.local/state where that can't be written, for this CPU,
    this model, and the versions of the engine. docs/tuning.md has the details.
    """
    wanted = _objective(objective)
    budget_s = _budget_s(budget)
    # Imported late: wrong options are told at once.
    from service.bootstrap import tuning
    from service.cli.tune_report import as_json as to_json
    from service.cli.tune_report import table

    # What engines die of is told in the table.
    configure_logs("console", "critical")
    bar = _Bar(budget_s)
    search, plan, settled = tuning.build_search(
        model, objective=wanted, budget_s=budget_s, device=device, tell=bar.tell
    )
    check(places(model, output))
    outcome = _run(search, bar)
    entry = tuning.make_entry(model, settled, plan, outcome, now=datetime.now(UTC))
    stored = write(places(model, output), entry)
    if as_json:
        typer.echo(to_json(outcome, stored))
        return
    # Wide enough for the table where no terminal says how wide it is.
    out = Console() if Console().is_terminal else Console(width=160)
    out.print(table(outcome))
    typer.echo(f"chosen: {outcome.winner.candidate.name} ({outcome.reason}), after {outcome.took_s:.0f} s")
    typer.echo(f"kept in {stored} for {entry.key.cpu_model}; {_users(entry, output)}")


def _users(entry: TuningEntry, output: Path | None) -> str:
    """Which models use it."""
    mode = "with `reproducible` = true" if entry.is_reproducible else "without `reproducible` mode"
    named = f" and `tuning_file` = {str(output)!r}" if output else ""
    return f"`tiber-serve serve` uses it from its next start for this model {mode}{named}"


class _Bar:
    """The progress on stderr: a bar over the budget at a terminal, else a line for each step."""

    def __init__(self, budget_s: float) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=self._console
        )
        self._task = self._progress.add_task("loading", total=budget_s)

    def tell(self, step: str, names: Sequence[str]) -> None:
        """See Tell."""
        text = f"{step}: {len(names)} left ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        shown = text if names else step
        if self._console.is_terminal:
            self._progress.update(self._task, description=shown[: max(20, self._console.width - 40)])
        else:
            self._console.print(shown, highlight=False, soft_wrap=True)

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show it, and let it grow with the time."""
        if not self._console.is_terminal:
            yield
            return
        with self._progress:
            ticking = asyncio.create_task(self._tick())
            try:
                yield
            finally:
                ticking.cancel()

    async def _tick(self) -> None:
        began_s = time.monotonic()
        while True:
            self._progress.update(self._task, completed=time.monotonic() - began_s)
            await asyncio.sleep(_TICK_S)


def _run(search: Search, bar: _Bar) -> Outcome:
    async def run() -> Outcome:
        async with bar.shown():
            return await search.run()

    try:
        return asyncio.run(run())
    except KeyboardInterrupt as error:
        typer.echo("interrupted: nothing was kept", err=True)
        raise typer.Exit(_INTERRUPTED) from error


def _objective(text: str) -> Objective:
    for objective in OBJECTIVES:
        if objective == text:
            return objective
    raise ConfigError(f"--objective {text!r} is none of {', '.join(OBJECTIVES)}")


def _budget_s(text: str) -> float:
    budget_s = parse_duration(text, option="--budget").total_seconds()
    if not _LEAST_S <= budget_s <= _MOST_S:
        raise ConfigError(f"--budget {text!r} must be from {_LEAST_S}s to 24h")
    return budget_s

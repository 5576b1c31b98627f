"""The command `suite`. Its parts are imported late: child processes import this module, too."""

import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command_line import ModelOption, out, say_line
from service.errors import ConfigError

_INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(suite)


def suite(
    model: ModelOption,
    output: Annotated[
        Path, typer.Option(help="Where the folder bench-HOST-DATE and its archive go.", file_okay=False)
    ] = Path("var"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Small rounds: does everything run here? Minutes, not hours.")
    ] = False,
    with_peers: Annotated[
        bool,
        typer.Option("--with-peers", help="Also install llama.cpp and vLLM (2 GB), and compare with them."),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help="Only this step; repeat it. See --list.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Print the steps' commands; run nothing.")] = False,
) -> None:
    """Run every benchmark, one after another, and pack records and logs into bench-HOST-DATE.tar.gz.

    A step that fails is noted and the next one runs; Ctrl-C ends them and packs what there is. Nothing else
    should run meanwhile. The archive has the machine's name, hardware, versions, paths and figures; no token.
    """
    from benchmarks.suite.runner import Outcome, pack, run_suite
    from benchmarks.suite.steps import steps

    now = datetime.now(UTC)
    folder = output.resolve() / f"bench-{platform.node() or 'host'}-{now:%Y-%m-%d-%H%M}"
    planned = steps(model.resolve(), folder, is_quick=quick, with_peers=with_peers)
    if unknown := set(only or ()) - {step.name for step in planned}:
        raise ConfigError(f"no step {min(unknown)}: there are {', '.join(step.name for step in planned)}")
    planned = [step for step in planned if not only or step.name in only]
    if show:
        for step in planned:
            out.print(
                f"{step.name}: {shlex.join(step.command)}", highlight=False, soft_wrap=True, markup=False
            )
        return
    say_line(f"{len(planned)} steps, logs and records in {folder}")
    done = run_suite(planned, folder, say_line)
    out.print(f"to send back: {pack(folder)}", highlight=False, soft_wrap=True)
    if any(one.outcome is Outcome.INTERRUPTED for one in done):
        raise typer.Exit(_INTERRUPTED)
    if any(one.outcome in (Outcome.FAILED, Outcome.TIMED_OUT) for one in done):
        raise typer.Exit(1)

"""What the benchmarks' commands share: common options, where they print, the bar."""

import math
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.credentials import Credentials

if TYPE_CHECKING:
    from benchmarks.client import Target

out = Console()
err = Console(stderr=True)

TokenOption = Annotated[
    str | None,
    typer.Option(
        help="The token that servers of --url or openai: want. Left out: VALID_TOKEN of the environment, for "
        "servers on this machine only."
    ),
]
TokenEnvOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The environment variable that holds it, to be sent anywhere."),
]
MODEL = typer.Option(help="Folder of a converted model.", exists=True, file_okay=False)
ModelOption = Annotated[Path, MODEL]
OutputOption = Annotated[Path | None, typer.Option(help="Also write the results to this JSON file.")]
RunIdOption = Annotated[
    str | None,
    typer.Option(
        help="Decides the prompts' words beside --seed. Drawn if left out, so that no prefix cache knows the "
        "prompts from an earlier run; that of a record sends its prompts again.",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Decides the prompts.")]
WordsOption = Annotated[int, typer.Option(min=4, help="Words of a prompt, each about a token.")]


def read_credentials(token: str | None, token_env: str | None) -> Credentials:
    """What `--token` and `--token-env` say. Raises: ConfigError."""
    return Credentials.read(token, token_env, os.environ)


def running_at(url: str, credentials: Credentials) -> "Target":
    """The server at `url`, with its token. Raises: BenchmarkError when that is no address."""
    from benchmarks.client import Target

    if advice := credentials.advice(url):
        say_line(advice)
    return Target.from_url(url, credentials.token_for(url) or "")


def draw_run_id() -> str:
    """A `--run-id` where none is given."""
    return secrets.token_hex(4)


def finite(value: float) -> float:
    """Refuse what no limit refuses: nan is neither below nor above one, and no wait is infinite."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def given(context: typer.Context, *, but: Collection[str]) -> list[str]:
    """The options, by their parameters' names, that the command line itself gave, `but` those."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in but and _is_given(context, parameter.name or "")
    ]


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@contextmanager
def progress_bar(total: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """Show a bar that draws itself only between measurements: a live one would take CPU from them."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = not err.is_terminal
    with Progress(*columns, console=err, transient=True, auto_refresh=False, disable=hidden) as progress:
        task = progress.add_task("measurements", total=total)

        def advance() -> None:
            progress.advance(task)
            progress.refresh()

        def say(line: str) -> None:
            say_line(line)
            progress.refresh()

        yield advance, say


def say_line(line: str) -> None:
    """Tell what goes on, beside the results."""
    err.print(line, highlight=False, soft_wrap=True)

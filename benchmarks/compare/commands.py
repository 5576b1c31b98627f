"""The benchmarks' command that compares servers.

What it measures with is imported late: child processes import this module, too.
"""

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.command_line import (
    RunIdOption,
    SeedOption,
    TokenEnvOption,
    TokenOption,
    WordsOption,
    draw_run_id,
    given,
    out,
    progress_bar,
    read_credentials,
    say_line,
)
from service.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.compare.settings import CompareSettings
    from benchmarks.credentials import Credentials

_RECORD = "compare.json"
_TABLES = "compare.md"


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(compare)


def compare(
    context: typer.Context,
    contender: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]KIND[:MODEL]",
            help="Repeat it. KIND: tiber-serve:FOLDER, llamacpp:FILE.gguf, vllm:FOLDER, or "
            "openai:http://HOST:PORT for any server that runs already. MODEL left out: the default model. "
            "Default: tiber-serve in INT8 and INT4 (default-int4), llamacpp, vllm.",
        ),
    ] = None,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Requests at once; repeat it. Default: 1, 4, 16, 64 and 100."),
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each request generates, exactly.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each, after one to warm up.")] = 5,
    prompt_words: WordsOption = 32,
    seed: SeedOption = 1,
    run_id: RunIdOption = None,
    tuning: Annotated[
        bool,
        typer.Option(
            "--tuning",
            help="Let tiber-serve use what its `tune` found for the model. Else tuning = false: its "
            "defaults, as the peers run with theirs.",
        ),
    ] = False,
    token: TokenOption = None,
    token_env: TokenEnvOption = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(help=f"Write {_RECORD}, {_TABLES} and the plots (SVG, PNG) into this folder."),
    ] = None,
    from_record: Annotated[
        Path | None, typer.Option("--from", help="Measure nothing: make tables and plots from this record.")
    ] = None,
) -> None:
    """Measure servers side by side, in turns A B C A B C, on the same prompts: tokens/s, latencies, ratios.

    Peers are installed by `python -m benchmarks peers install`. All servers are started, and stopped
    (SIGSTOP) between their turns. One that fails is named and left out.
    """
    from benchmarks.compare.records import parse_record, read_record
    from benchmarks.compare.settings import CompareSettings

    if from_record is not None:
        if ignored := given(context, but=("from_record", "output_dir")):
            raise ConfigError(f"--from measures nothing, so leave out {', '.join(ignored)}")
        _show(read_record(from_record), output_dir)
        return
    settings = CompareSettings(
        concurrencies=tuple(concurrency or (1, 4, 16, 64, 100)),
        tokens=tokens,
        prompt_words=prompt_words,
        rounds=rounds,
        seed=seed,
        run_id=run_id or draw_run_id(),
        uses_tuning=tuning,
    )
    record = _measure(contender, settings, read_credentials(token, token_env))
    if output_dir is not None:
        from benchmarks.record import write_record

        write_record(output_dir / _RECORD, record)
    parsed = parse_record(record)
    _show(parsed, output_dir)
    if parsed.results.failures:
        raise typer.Exit(1)


def _measure(
    texts: list[str] | None, settings: "CompareSettings", credentials: "Credentials"
) -> dict[str, Any]:
    from benchmarks.compare.records import KIND
    from benchmarks.compare.turns import compare as run
    from benchmarks.compare.turns import turns
    from benchmarks.peers.contender import OPENAI, parse_choice
    from benchmarks.peers.models import contenders, default_choices
    from benchmarks.record import make_record, read_environment

    if len(set(settings.concurrencies)) < len(settings.concurrencies):
        raise ConfigError("a concurrency is asked for twice")
    found = contenders([parse_choice(text) for text in texts] if texts else default_choices(), say_line)
    for url in (one.model for one in found if one.kind == OPENAI):
        if advice := credentials.advice(url):
            say_line(advice)
    environment = read_environment(with_bandwidth=True)
    # Told to end, it must still let the servers go on and end them: they may be stopped just then.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with progress_bar(turns(found, settings)) as (advance, say):
        results = run(found, settings, credentials=credentials, advance=advance, say=say)
    return make_record(kind=KIND, environment=environment, settings=asdict(settings), results=results)


def _show(record: Any, output_dir: Path | None) -> None:  # noqa: ANN401 - a CompareRecord, imported late
    from benchmarks.compare.markdown import render

    text = render(record)
    out.print(text, highlight=False, soft_wrap=True, markup=False)
    if output_dir is None:
        return
    from benchmarks.compare.plots import draw

    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / _TABLES).write_text(text, encoding="utf-8")
    for path in [output_dir / _TABLES, *draw(record, output_dir)]:
        out.print(f"written: {path}", highlight=False, soft_wrap=True)

"""The command that holds our load generator against another.

What it measures with is imported late: child processes import this module, too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import (
    OutputOption,
    RunIdOption,
    TokenEnvOption,
    TokenOption,
    draw_run_id,
    out,
    read_credentials,
    say_line,
)
from benchmarks.traffic.commands import UrlOption, serving
from service.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.client import Target
    from benchmarks.credentials import Credentials


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(cross_check)


def cross_check(
    model: Annotated[Path, typer.Option(help="Folder of the converted model.", exists=True, file_okay=False)],
    guidellm: Annotated[
        Path,
        typer.Option(
            help="DIR/bin/guidellm, after: python3 -m venv DIR && DIR/bin/pip install guidellm==0.8.1",
            exists=True,
            dir_okay=False,
        ),
    ],
    paced: Annotated[
        bool,
        typer.Option(
            "--paced",
            help="Ask a server of known latencies: first token after 200 ms, then one each 20 ms.",
        ),
    ] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    token_env: TokenEnvOption = None,
    workload: Annotated[str, typer.Option(help="As of `run`.")] = "fixed:in=128,out=64",
    concurrency: Annotated[
        list[int] | None, typer.Option(min=1, help="Clients; repeat it for more. Default: 8 and 1.")
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests of each turn.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of turns.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides lengths, and with --run-id the words.")] = 1,
    run_id: RunIdOption = None,
    output: OutputOption = None,
) -> None:
    """Compare our figures with guidellm's, in turns on one server; exit code 1 if they are over 5% apart."""
    from benchmarks.recording import begin
    from benchmarks.traffic.cross_check import CrossCheck, CrossCheckSettings
    from benchmarks.traffic.paced_server import paced_server
    from benchmarks.traffic.report import show_cross_check
    from benchmarks.traffic.served import OWN, PACED, check_served
    from benchmarks.traffic.settings import first_model

    credentials = read_credentials(token, token_env)
    if paced and (url is not None or credentials.are_asked_for):
        raise ConfigError("--paced brings a server of its own: leave out --url and its token")
    settings = CrossCheckSettings(
        workload=workload,
        concurrencies=tuple(concurrency or (8, 1)),
        requests=requests,
        rounds=rounds,
        seed=seed,
        run_id=run_id or draw_run_id(),
    )
    begun = begin("cross-check", settings, output, model=model)
    with (
        paced_server() if paced else _on_cores_of_its_own(url, credentials, model, timeout_s=300.0) as target,
        CrossCheck(target, model, first_model(target), guidellm) as check,
    ):
        served = PACED if paced else OWN if url is None else check_served(target, model, None)
        results = check.run(settings, say_line)
    show_cross_check(results, out)
    begun.finish(
        results,
        found={"paced": paced, "model_served": served},
        has_failed=not all(one.agrees for one in results.comparisons),
    )


@contextmanager
def _on_cores_of_its_own(
    url: str | None, credentials: "Credentials", model: Path, timeout_s: float
) -> Iterator["Target"]:
    """A server of ours on half of the cores, us on the others: no client's CPU time can slow it."""
    cores = sorted(os.sched_getaffinity(0))
    if url is not None or len(cores) < 2:
        with serving(url, credentials, model, timeout_s) as target:
            yield target
        return
    half = len(cores) // 2
    try:
        os.sched_setaffinity(0, cores[:half])
        with serving(None, credentials, model, timeout_s) as target:
            os.sched_setaffinity(0, cores[half:])
            yield target
    finally:
        os.sched_setaffinity(0, cores)

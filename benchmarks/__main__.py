"""The command line of the benchmarks.

What they measure with is imported late: child processes import this module, too.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import chunk_commands, lookup_commands, scaling_commands, startup_commands, vision_commands
from benchmarks.command_line import (
    MODEL,
    ModelOption,
    OutputOption,
    SeedOption,
    TokenEnvOption,
    TokenOption,
    WordsOption,
    err,
    finite,
    out,
    progress_bar,
    read_credentials,
    running_at,
    say_line,
)
from benchmarks.compare import commands as compare_commands
from benchmarks.credentials import Credentials
from benchmarks.peers import commands as peer_commands
from benchmarks.reproducible import commands as reproducible_commands
from benchmarks.roofline import command as roofline_command
from benchmarks.suite import command as suite_command
from benchmarks.traffic import commands as traffic_commands
from benchmarks.traffic import cross_check_command
from service.errors import ConfigError, TiberError

if TYPE_CHECKING:
    from benchmarks.client import Target

app = typer.Typer(
    name="benchmarks",
    help="Load servers (run). Measure the service: cost, schemas, pictures, bursts, slow clients, crashes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
chunk_commands.add_to(app)
lookup_commands.add_to(app)
traffic_commands.add_to(app)
cross_check_command.add_to(app)
vision_commands.add_to(app)
compare_commands.add_to(app)
peer_commands.add_to(app)
roofline_command.add_to(app)
reproducible_commands.add_to(app)
scaling_commands.add_to(app)
startup_commands.add_to(app)
suite_command.add_to(app)


@app.command()
def overhead(
    model: ModelOption,
    concurrency: Annotated[
        list[int] | None, typer.Option(min=1, help="Requests at once; repeat it for more. Default: 64 and 1.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each request generates, exactly.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds: bare, served, watched; one more warms up.")] = 5,
    prompt_words: WordsOption = 32,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache of each side in GiB.")] = 2,
    probes_per_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="Probes of /health a second.")
    ] = 20.0,
    probed_from: Annotated[int, typer.Option(help="Least number of requests at once that is probed.")] = 2,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare the service's throughput with the bare engine's, in turns, on the same prompts.

    Served: to a client that sleeps between an answer's first event and its end. Watched: to one that each
    event wakes, while /health is probed; both share the cores with the server.
    """
    from benchmarks.bench import OverheadSettings
    from benchmarks.overhead import measure_overhead, turns
    from benchmarks.recording import begin
    from benchmarks.report import show_overhead

    settings = OverheadSettings(
        concurrencies=tuple(concurrency or (64, 1)),
        tokens=tokens,
        prompt_words=prompt_words,
        rounds=rounds,
        cache_gib=cache_gib,
        seed=seed,
        probes_per_s=probes_per_s,
        probed_from=probed_from,
    )
    run = begin("overhead", settings, output, model=model, with_bandwidth=True)
    with progress_bar(turns(settings)) as (advance, say):
        results, engine = measure_overhead(model, settings, advance=advance, say=say)
    show_overhead(results, out)
    run.finish(results, engine=engine, has_failed=bool(results.faults))


@app.command()
def burst(
    url: Annotated[str | None, typer.Option(help="A running server: http://HOST:PORT.")] = None,
    token: TokenOption = None,
    token_env: TokenEnvOption = None,
    model: Annotated[Path | None, MODEL] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests to send at once.")] = 200,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens each asks for.")] = 64,
    prompt_words: WordsOption = 32,
    timeout_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="After so long a request counts as hung.")
    ] = 60.0,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Send many requests at once to a running server (--url, --token), or to one of our own (--model)."""
    from benchmarks.burst import BurstSettings, run_burst
    from benchmarks.recording import begin
    from benchmarks.report import show_burst

    settings = BurstSettings(
        requests=requests, tokens=tokens, prompt_words=prompt_words, timeout_s=timeout_s, seed=seed
    )
    run = begin("burst", settings, output, model=model)
    with _target(url, read_credentials(token, token_env), model) as target:
        say_line(f"{requests} requests to port {target.port}")
        results = asyncio.run(run_burst(target, settings))
    show_burst(results, out)
    run.finish(results, has_failed=bool(results.faults))


@app.command()
def crash(
    model: ModelOption,
    streams: Annotated[int, typer.Option(min=1, help="Streams to open.")] = 20,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each asks for: more than come in time.")] = 2000,
    prompt_words: WordsOption = 32,
    end_limit_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds from the kill to the last stream's end.")
    ] = 1.0,
    answer_limit_s: Annotated[
        float, typer.Option(callback=finite, help="Seconds from the kill to a good answer.")
    ] = 15.0,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Kill the engine of a server of our own under open streams, and see what becomes of them."""
    from benchmarks.crash import CrashSettings, run_crash
    from benchmarks.recording import begin
    from benchmarks.report import show_crash
    from benchmarks.server import running_server

    settings = CrashSettings(
        streams=streams,
        tokens=tokens,
        prompt_words=prompt_words,
        seed=seed,
        end_limit_s=end_limit_s,
        answer_limit_s=answer_limit_s,
    )
    run = begin("crash", settings, output, model=model)
    say_line(f"starting the server; {streams} streams, then kill -9")
    with running_server(model) as server:
        results = asyncio.run(run_crash(server, settings))
    show_crash(results, settings, out)
    run.finish(results, has_failed=bool(results.faults))


@app.command()
def structured(
    url: Annotated[str | None, typer.Option(help="A running server: http://HOST:PORT.")] = None,
    token: TokenOption = None,
    token_env: TokenEnvOption = None,
    model: Annotated[Path | None, MODEL] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests in all.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 200,
    prompt_words: WordsOption = 16,
    timeout_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="After so long a request counts as hung.")
    ] = 120.0,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Ask for JSON of many schemas; check that every answer that is whole parses and matches."""
    from benchmarks.recording import begin
    from benchmarks.report import show_structured
    from benchmarks.structured import StructuredSettings, run_structured

    settings = StructuredSettings(
        requests=requests,
        concurrency=concurrency,
        tokens=tokens,
        prompt_words=prompt_words,
        timeout_s=timeout_s,
        seed=seed,
    )
    run = begin("structured", settings, output, model=model)
    with _target(url, read_credentials(token, token_env), model, request_timeout_s=timeout_s) as target:
        say_line(f"{requests} requests to port {target.port}, {concurrency} at once")
        with progress_bar(requests) as (advance, _):
            results = asyncio.run(run_structured(target, settings, advance=advance))
    show_structured(results, out)
    run.finish(results, has_failed=bool(results.faults))


@app.command()
def slowloris(
    model: ModelOption,
    requests: Annotated[int, typer.Option(min=1, help="Good requests of each measurement.")] = 200,
    concurrency: Annotated[int, typer.Option(min=1, help="Good requests at once.")] = 4,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens each asks for.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of measurements, after one to warm up.")] = 5,
    prompt_words: WordsOption = 16,
    slow_headers: Annotated[int, typer.Option(min=0, help="Sockets that send headers slowly.")] = 100,
    slow_bodies: Annotated[int, typer.Option(min=0, help="Sockets that send a body slowly.")] = 50,
    slow_readers: Annotated[int, typer.Option(min=0, help="Sockets that read a stream slowly.")] = 50,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare good requests' latency with and without clients that send or read a byte a second."""
    from benchmarks.recording import begin
    from benchmarks.report import show_slowloris
    from benchmarks.slowloris import SlowlorisSettings, measure_slowloris, turns

    settings = SlowlorisSettings(
        requests=requests,
        concurrency=concurrency,
        tokens=tokens,
        prompt_words=prompt_words,
        rounds=rounds,
        seed=seed,
        slow_headers=slow_headers,
        slow_bodies=slow_bodies,
        slow_readers=slow_readers,
    )
    run = begin("slowloris", settings, output, model=model)
    with progress_bar(turns(settings)) as (advance, say):
        results = measure_slowloris(model, settings, advance=advance, say=say)
    show_slowloris(results, out)
    run.finish(results, has_failed=bool(results.faults))


@contextmanager
def _target(
    url: str | None, credentials: Credentials, model: Path | None, **model_settings: float
) -> Iterator["Target"]:
    from benchmarks.server import running_server

    if (url is None) == (model is None):
        raise ConfigError("give either --url, with its token, or --model")
    if url is None and credentials.are_asked_for:
        raise ConfigError("a token is for --url: a server of our own has one of its own")
    if url is not None:
        yield running_at(url, credentials)
    elif model is not None:
        with running_server(model, **model_settings) as server:
            yield server.target


def main() -> None:
    """Run the command line; every expected error is one line, with exit status 2."""
    try:
        app()
    except TiberError as error:
        err.print(f"[bold red]error:[/] {error.message}", soft_wrap=True, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()

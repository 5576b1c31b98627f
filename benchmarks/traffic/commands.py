"""The command that loads a server.

What it measures with is imported late: child processes import this module, too.
"""

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
    err,
    finite,
    out,
    read_credentials,
    running_at,
    say_line,
)
from service.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.client import Target
    from benchmarks.credentials import Credentials
    from benchmarks.traffic.jobs import Progress
    from benchmarks.traffic.schedules import Limit

ApiOption = Annotated[str, typer.Option("--target", help="tgi, openai (completions) or openai-chat.")]
UrlOption = Annotated[
    str | None,
    typer.Option(help="A running server: http://HOST:PORT. Without it, one of our own serves --model."),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the converted model: its tokenizer counts the prompts, else words do.",
        exists=True,
        file_okay=False,
    ),
]
_WORKLOADS = (
    "fixed:in=128,out=64 | uniform:in_min=,in_max=,out_min=,out_max= | "
    "lognormal:in=200,in_sigma=0.8,out=100 | sharegpt | "
    "shared-prefix:prefix=1024,in=64,out=64 | long:in=4000 | vision:side=512. Lengths are tokens."
)
_ARRIVALS = (
    "closed:64 (so many clients) | poisson:4 | constant:2 (requests a second, due whatever became of others; "
    "latency counts from then) | sweep:steps=5,concurrency=64 | trace:FILE (timestamps: CSV or JSONL)."
)


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(run)


def run(
    api: ApiOption = "tgi",
    url: UrlOption = None,
    token: TokenOption = None,
    token_env: TokenEnvOption = None,
    model: ModelOption = None,
    model_name: Annotated[
        str | None, typer.Option(help="The name to ask for; openai: default the first of /v1/models.")
    ] = None,
    workload: Annotated[str, typer.Option(help=_WORKLOADS)] = "fixed",
    arrival: Annotated[str, typer.Option(help=_ARRIVALS)] = "closed:8",
    requests: Annotated[int | None, typer.Option(min=1, help="Requests, of each stage of a sweep.")] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            help="Time to send in, of each stage of a sweep: 30s, 2m. Default without --requests: 30s."
        ),
    ] = None,
    slo: Annotated[
        str | None, typer.Option(help="Objectives that goodput keeps: ttft=500ms,itl=100ms; also tpot, e2e.")
    ] = None,
    warm_up: Annotated[
        int | None, typer.Option(min=0, help="Requests before, not counted. Default: one a client, else 4.")
    ] = None,
    ignore_eos: Annotated[
        bool,
        typer.Option(help="Ask for answers of exact length (vLLM's parameter); shorter ones are failures."),
    ] = True,
    extra: Annotated[
        str | None, typer.Option(help="JSON added to each body (tgi: to its parameters).")
    ] = None,
    timeout_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="Seconds until a request has failed.")
    ] = 300.0,
    seed: Annotated[int, typer.Option(help="Decides lengths and arrivals, and with --run-id the words.")] = 1,
    run_id: RunIdOption = None,
    output: OutputOption = None,
) -> None:
    """Load a server; tell latencies, throughput and failures as clients saw them. Ctrl-C ends it early."""
    from benchmarks.recording import begin
    from benchmarks.traffic.report import show_traffic
    from benchmarks.traffic.run import Plan, Teller, run_plan
    from benchmarks.traffic.schedules import read_arrival
    from benchmarks.traffic.served import OWN, check_served
    from benchmarks.traffic.settings import read_dialect, read_extra
    from benchmarks.traffic.slo import Slo
    from benchmarks.traffic.workloads import Workload

    credentials, run_id = read_credentials(token, token_env), run_id or draw_run_id()
    limit = read_limit(requests, duration, is_trace=arrival.startswith("trace:"))
    schedule, more = read_arrival(arrival, limit, seed=seed), read_extra(extra)
    objectives = Slo.from_spec(slo) if slo else None
    asked = Workload.from_spec(workload, seed=seed, model=model, part=run_id)
    name = "trace" if arrival.startswith("trace:") else arrival
    settings = {
        "target": api,
        "model_name": model_name,
        "workload": workload,
        "counted_in": "tokens" if model else "words",
        "arrival": name,
        "requests": limit.requests,
        "duration_s": limit.duration_s,
        "slo_s": objectives.limits_s if objectives else None,
        "warm_up": warm_up,
        "ignore_eos": ignore_eos,
        "extra": more,
        "timeout_s": timeout_s,
        "seed": seed,
        "run_id": run_id,
        "own_server": url is None,
    }
    begun = begin("traffic", settings, output, model=model, with_bandwidth=True)
    with serving(url, credentials, model, timeout_s) as target:
        plan = Plan(
            target=target,
            dialect=read_dialect(api, target, model_name=model_name, ignore_eos=ignore_eos, extra=more),
            workload=asked,
            limit=limit,
            slo=objectives,
            warm_up=warm_up,
            timeout_s=timeout_s,
            seed=seed,
        )
        served = OWN if url is None else check_served(target, model, model_name) if model else None
        results = run_plan(plan, schedule, name, Teller(say=say_line, progress=_tell))
    show_traffic(results, out)
    if not results.answered:
        say_line("nothing was measured: no request was answered")
    begun.finish(
        results, found={"model_served": served}, has_failed=bool(results.failed) or not results.answered
    )


def read_limit(requests: int | None, duration: str | None, *, is_trace: bool) -> "Limit":
    """What ends the sending; a trace ends by itself. Raises: ConfigError for what is no time."""
    from benchmarks.traffic.schedules import Limit
    from benchmarks.traffic.specs import read_duration_s

    if duration is None and requests is None and not is_trace:
        duration = "30s"
    duration_s = None if duration is None else read_duration_s(duration, "--duration")
    return Limit(requests=requests, duration_s=duration_s)


@contextmanager
def serving(
    url: str | None, credentials: "Credentials", model: Path | None, timeout_s: float
) -> Iterator["Target"]:
    """The running server at `url`, or one of our own.

    Raises:
        ConfigError: neither is given, or a token for one of our own.
    """
    from benchmarks.server import running_server

    if url is not None:
        yield running_at(url, credentials)
        return
    if credentials.are_asked_for:
        raise ConfigError("a token is for --url: a server of our own has one of its own")
    if model is not None:
        say_line("starting a server")
        with running_server(model, request_timeout_s=timeout_s) as server:
            yield server.target
    else:
        raise ConfigError(
            "give the --url of a running server, or the --model that one of our own is to serve"
        )


def _tell(progress: "Progress") -> None:
    if progress.is_warming_up:
        err.print("warming up", highlight=False)
        return
    rate = progress.output_tokens / progress.elapsed_s
    err.print(
        f"{progress.elapsed_s:4.0f} s: {progress.sent} sent, {progress.done} done, {progress.failed} failed, "
        f"{rate:.0f} tokens/s of whole answers",
        highlight=False,
    )

"""The benchmark of prompt lookup.

What it measures with is imported late: child processes import this module, too.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, finish, out, progress_bar
from service.errors import ConfigError

if TYPE_CHECKING:
    from benchmarks.lookup import LookupResults


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(speculative)


def speculative(
    model: ModelOption,
    prompt_lookup: Annotated[
        int, typer.Option(min=1, max=16, help="Tokens guessed in each step: the setting of that name.")
    ] = 5,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help="edit: the answer copies code from the prompt; free: a story. Repeat it; both if unset."
        ),
    ] = None,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Requests at once; repeat it for more. Default: 1, 4, 16 and 64."),
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each request generates, exactly.")] = 96,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of measurements, after one to warm up.")] = 3,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache of each side in GiB.")] = 2,
    max_batched_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of one step: the setting of that name.")
    ] = 256,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare the bare engine's throughput with prompt lookup and without, in turns, on the same prompts."""
    from benchmarks.lookup import LookupSettings, lookup_config, measure_lookup, turns
    from benchmarks.lookup_workload import WORKLOADS
    from benchmarks.record import make_record, read_environment

    wanted = workload or list(WORKLOADS)
    if unknown := [name for name in wanted if name not in WORKLOADS]:
        raise ConfigError(f"--workload is one of {', '.join(WORKLOADS)}, not {unknown[0]}")
    settings = LookupSettings(
        prompt_lookup=prompt_lookup,
        workloads=tuple(name for name in WORKLOADS if name in wanted),
        concurrencies=tuple(concurrency or (1, 4, 16, 64)),
        tokens=tokens,
        rounds=rounds,
        cache_gib=cache_gib,
        max_batched_tokens=max_batched_tokens,
        seed=seed,
    )
    environment, config = read_environment(), lookup_config(model, settings)
    with progress_bar(turns(settings)) as (advance, say):
        results = measure_lookup(model, config, settings, advance=advance, say=say)
    _show(results, prompt_lookup)
    record = make_record(
        kind="speculative",
        environment=environment,
        settings=asdict(settings),
        results=results,
        model=model,
        engine=config,
    )
    finish(record, output, has_failed=False)


def _show(results: "LookupResults", prompt_lookup: int) -> None:
    from rich.table import Table

    from benchmarks.stats import median

    table = Table(
        title=f"Prompt lookup of {prompt_lookup} tokens: medians, in tokens/s", title_justify="left"
    )
    for name in ("workload", "at once", "with", "without", "ratio (least to greatest)", "tokens a step"):
        table.add_column(name, justify="left" if name == "workload" else "right")
    for one in results.results:
        ratio = one.ratio
        shown = f"{ratio.median:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f})" if ratio else ""
        table.add_row(
            one.workload,
            str(one.concurrency),
            f"{median(one.with_lookup):.1f}",
            f"{median(one.without):.1f}",
            shown,
            f"{one.tokens_a_step:.2f}",
        )
    out.print(table)

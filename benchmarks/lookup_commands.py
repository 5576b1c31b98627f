"""The benchmark of prompt lookup.

What it measures with is imported late: child processes import this module, too.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, out, progress_bar
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
    from benchmarks.recording import begin

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
    run, config = begin("speculative", settings, output, model=model), lookup_config(model, settings)
    with progress_bar(turns(settings)) as (advance, say):
        results = measure_lookup(model, config, settings, advance=advance, say=say)
    _show(results, prompt_lookup)
    run.finish(results, engine=config)


def _show(results: "LookupResults", prompt_lookup: int) -> None:
    from benchmarks.stats import median
    from benchmarks.tables import new_table, ratio_text

    names = ("at once", "with", "without", "ratio (least to greatest)", "tokens a step")
    table = new_table(f"Prompt lookup of {prompt_lookup} tokens: medians, in tokens/s", "workload", *names)
    for one in results.results:
        table.add_row(
            one.workload,
            str(one.concurrency),
            f"{median(one.with_lookup):.1f}",
            f"{median(one.without):.1f}",
            ratio_text(one.ratio, digits=2),
            f"{one.tokens_a_step:.2f}",
        )
    out.print(table)

"""The benchmarks' commands about reproducible mode.

What they measure with is imported late: child processes import this module, too.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import (
    ModelOption,
    OutputOption,
    SeedOption,
    WordsOption,
    out,
    progress_bar,
)

if TYPE_CHECKING:
    from benchmarks.reproducible.check import CheckResults
    from benchmarks.reproducible.cost import CostResults


def add_to(app: typer.Typer) -> None:
    """Add them to the command line."""
    for command in (reproducible, reproducible_cost):
        app.command()(command)


def reproducible(
    model: ModelOption,
    requests: Annotated[int, typer.Option(min=1, help="Requests that are compared.")] = 500,
    load: Annotated[int, typer.Option(min=2, help="Requests at once, under load.")] = 32,
    usual: Annotated[
        bool, typer.Option("--usual", help="Serve with the usual settings: the check should fail then.")
    ] = False,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache in GiB.")] = 2,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Check that answers under mixed load, with either `prefix_caching`, are those that requests get alone.

    Each pass has a server of its own. Clients that leave midway come on top of --requests. Log-probabilities
    tell of differences too small to change a token. Ends with status 1 when an answer differs, and when no
    request was cancelled. Reproducible mode has no prefix cache; with --usual the last pass must use it.
    """
    from benchmarks.recording import begin
    from benchmarks.report import show_faults
    from benchmarks.reproducible.check import run_check, turns
    from benchmarks.reproducible.passes import CheckSettings

    settings = CheckSettings(
        requests=requests, load=load, cache_gib=cache_gib, seed=seed, reproducible=not usual
    )
    run = begin("reproducible", settings, output, model=model)
    with progress_bar(turns(settings)) as (advance, say):
        results = run_check(model, settings, advance=advance, say=say)
    _show_check(results)
    show_faults(results.faults, out)
    run.finish(results, has_failed=bool(results.faults))


def reproducible_cost(
    model: ModelOption,
    concurrency: Annotated[
        list[int] | None, typer.Option(min=1, help="Requests at once; repeat it for more. Default: 1 and 64.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each request generates, exactly.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of measurements, after one to warm up.")] = 5,
    prompt_words: WordsOption = 32,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache of each server in GiB.")] = 2,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare the throughput of reproducible mode with that of the usual settings, in turns."""
    from benchmarks.recording import begin
    from benchmarks.reproducible.cost import CostSettings, measure_cost, turns

    settings = CostSettings(
        concurrencies=tuple(concurrency or (1, 64)),
        tokens=tokens,
        prompt_words=prompt_words,
        rounds=rounds,
        cache_gib=cache_gib,
        seed=seed,
    )
    run = begin("reproducible-cost", settings, output, model=model)
    with progress_bar(turns(settings)) as (advance, say):
        results = measure_cost(model, settings, advance=advance, say=say)
    _show_cost(results)
    run.finish(results)


def _show_check(results: "CheckResults") -> None:
    from benchmarks.tables import new_table

    title = f"Answers identical to the solo ones ({results.generated_tokens} tokens in each pass)"
    names = ("text and tokens", "log-probabilities too", "cancelled", "cached beginnings")
    table = new_table(title, "", *names)
    for one in results.passes:
        shares = (f"{count} of {results.compared}" for count in (one.identical, one.identical_logprobs))
        cached = f"{one.prefix_hits} of {one.tell_cached}" if one.tell_cached else "not told"
        table.add_row(one.name, *shares, f"{one.cancelled} of {one.left}", cached)
    out.print(table)


def _show_cost(results: "CostResults") -> None:
    from benchmarks.tables import new_table, ratio_text

    names = ("reproducible", "usual", "ratio: median (lowest to highest)")
    table = new_table("Tokens/s, medians; reproducible over usual", "requests at once", *names)
    for one in results.by_concurrency:
        speeds = f"{one.reproducible_median:.1f}", f"{one.usual_median:.1f}"
        table.add_row(str(one.concurrency), *speeds, ratio_text(one.ratio))
    out.print(table)

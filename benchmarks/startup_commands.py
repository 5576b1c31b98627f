"""The benchmark of a server's start, memory and prefix cache.

What it measures with is imported late: child processes import this module, too.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, out, progress_bar

if TYPE_CHECKING:
    from benchmarks.startup import StartupResults

_MS = 1000
_MIB = 1 << 20


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(startup)


def startup(
    model: ModelOption,
    rounds: Annotated[int, typer.Option(min=1, help="Starts, after one that fills the page cache.")] = 5,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts that each server gets, each twice.")] = 3,
    prompt_tokens: Annotated[int, typer.Option(min=4, help="Tokens of each prompt.")] = 1300,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of each answer.")] = 4,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache in GiB.")] = 2,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Measure process start to /ready (files in the page cache), idle memory, and the prefix cache's gain.

    Memory is resident, of the API process and of the engine's, before any request; pages that both map
    count in both. Each prompt is sent when new, then again, alone: the prefix cache has it then.
    """
    from benchmarks.recording import begin
    from benchmarks.startup import StartupSettings, measure_startup

    settings = StartupSettings(
        rounds=rounds,
        prompts=prompts,
        prompt_tokens=prompt_tokens,
        tokens=tokens,
        cache_gib=cache_gib,
        seed=seed,
    )
    run = begin("startup", settings, output, model=model)
    with progress_bar(settings.turns) as (advance, say):
        results = measure_startup(model, settings, advance=advance, say=say)
    _show(results, prompt_tokens)
    run.finish(results)


def _show(results: "StartupResults", prompt_tokens: int) -> None:
    from benchmarks.stats import median
    from benchmarks.tables import pairs_table, ratio_text

    table = pairs_table("Medians (least to greatest)")
    rows = (
        ("process start to /ready, s", results.ready_s, 1.0),
        ("resident memory of the API process, MiB", results.api_rss_bytes, 1 / _MIB),
        ("resident memory of the engine, MiB", results.engine_rss_bytes, 1 / _MIB),
        (f"first token of a new prompt of {prompt_tokens} tokens, ms", results.new_ttft_s, _MS),
        ("of the same prompt again, ms", results.again_ttft_s, _MS),
    )
    for title, values, factor in rows:
        middle, low, high = (factor * value for value in (median(values), min(values), max(values)))
        table.add_row(title, f"{middle:.2f} ({low:.2f} to {high:.2f})")
    table.add_row("again over new", ratio_text(results.ratio))
    out.print(table)

"""The benchmark of the size of an engine step.

What it measures with is imported late: child processes import this module, too.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, finite, out, progress_bar

if TYPE_CHECKING:
    from benchmarks.chunk import ChunkResults

_MS = 1000


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(chunks)


def chunks(
    model: ModelOption,
    max_batched_tokens: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Tokens of one step; repeat it. Default: 128, 256, 512, 1024 and 2048."),
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="Streams that decode all the time.")] = 8,
    arrivals: Annotated[int, typer.Option(min=1, help="Long prompts of one round.")] = 5,
    interval_s: Annotated[
        float, typer.Option(callback=finite, min=0.01, help="Seconds between two of them.")
    ] = 3.0,
    arrival_tokens: Annotated[int, typer.Option(min=1, help="Tokens each of them generates.")] = 8,
    prompt_words: Annotated[int, typer.Option(min=4, help="Words of each, about a token each.")] = 1300,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each size, in turns.")] = 2,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache of each engine in GiB.")] = 1,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare sizes of an engine step: gaps in streams while long prompts arrive, and the prompts' wait."""
    from benchmarks.chunk import ChunkSettings, chunk_config, measure_chunks
    from benchmarks.recording import begin

    settings = ChunkSettings(
        max_batched_tokens=tuple(max_batched_tokens or (128, 256, 512, 1024, 2048)),
        streams=streams,
        arrivals=arrivals,
        interval_s=interval_s,
        arrival_tokens=arrival_tokens,
        prompt_words=prompt_words,
        rounds=rounds,
        cache_gib=cache_gib,
        seed=seed,
    )
    run, config = begin("chunks", settings, output, model=model), chunk_config(model, settings)
    with progress_bar(rounds * len(settings.max_batched_tokens)) as (advance, say):
        results = measure_chunks(model, config, settings, advance=advance, say=say)
    _show(results)
    run.finish(results, engine=config, has_failed=bool(results.faults))


def _show(results: "ChunkResults") -> None:
    from benchmarks.tables import new_table

    names = ("gap p50", "gap p99", "gap, longest", "first token p50", "longest")
    table = new_table("Beside long prompts, in ms", "tokens of a step", *names)
    for one in results.sizes:
        gap, first = one.itl_s, one.ttft_s
        cells = [
            *((gap.p50, gap.p99, gap.highest) if gap else ()),
            *((first.p50, first.highest) if first else ()),
        ]
        table.add_row(str(one.max_batched_tokens), *(f"{cell * _MS:.0f}" for cell in cells))
    out.print(table)
    for fault in results.faults[:10]:
        out.print(f"fault: {fault}", highlight=False)

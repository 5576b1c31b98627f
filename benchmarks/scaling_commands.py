"""The benchmark of how cost grows.

What it measures with is imported late: child processes import this module, too.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, finite, out, progress_bar

if TYPE_CHECKING:
    from benchmarks.scaling import ScalingResults

_MS = 1000


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(scaling)


def scaling(
    model: ModelOption,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(min=1, max=100, help="Requests at once; repeat it. Default: 1, 4, 16 and 64."),
    ] = None,
    prompt_tokens: Annotated[
        list[int] | None,
        typer.Option(min=4, help="Tokens of a prompt; repeat it. Default: 32, 256 and 1024."),
    ] = None,
    output_tokens: Annotated[
        list[int] | None, typer.Option(min=2, help="Tokens of an answer; repeat it. Default: 16, 64 and 256.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Every prompt with every answer, not only with the middle one."),
    ] = False,
    waves: Annotated[int, typer.Option(min=1, help="Requests that each client sends, one by one.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each combination, in turns.")] = 1,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache in GiB: all requests must fit.")] = 2,
    timeout_s: Annotated[
        float,
        typer.Option(
            callback=finite, min=0.1, help="Seconds a request may take: many long prompts take minutes."
        ),
    ] = 600.0,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Measure tokens/s and latencies of a server of our own over a grid of concurrencies and lengths.

    Clients ask anew as soon as they were answered. The table is Markdown, of the rounds' medians.
    """
    from benchmarks.recording import begin
    from benchmarks.scaling import ScalingSettings, measure_scaling

    settings = ScalingSettings(
        concurrencies=tuple(concurrency or (1, 4, 16, 64)),
        prompt_tokens=tuple(prompt_tokens or (32, 256, 1024)),
        output_tokens=tuple(output_tokens or (16, 64, 256)),
        is_full=full,
        waves=waves,
        rounds=rounds,
        cache_gib=cache_gib,
        timeout_s=timeout_s,
        seed=seed,
    )
    run = begin("scaling", settings, output, model=model)
    with progress_bar(settings.turns) as (advance, say):
        results = measure_scaling(model, settings, advance=advance, say=say)
    _show(results)
    run.finish(results)


def _show(results: "ScalingResults") -> None:
    from benchmarks.stats import median

    def line(*cells: object) -> None:
        out.print(f"| {' | '.join(map(str, cells))} |", highlight=False, soft_wrap=True, markup=False)

    heads = (
        "at once",
        "prompt",
        "answer",
        "output tokens/s",
        "all tokens/s",
        "TTFT, ms",
        "TPOT, ms",
        "whole, s",
    )
    line(*heads)
    line(*("---" for _ in heads))
    for one in results.cells:
        line(
            one.cell.concurrency,
            one.cell.prompt_tokens,
            one.cell.output_tokens,
            f"{median(one.output_tokens_per_s):.1f}",
            f"{median(one.total_tokens_per_s):.0f}",
            f"{_MS * median(one.ttft_s):.0f}",
            f"{_MS * median(one.tpot_s):.2f}",
            f"{median(one.end_to_end_s):.2f}",
        )

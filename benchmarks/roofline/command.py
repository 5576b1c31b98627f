"""The command `roofline`. What it measures with is imported late: child processes import this module, too."""

from typing import Annotated

import typer

from benchmarks.command_line import ModelOption, OutputOption, SeedOption, out, progress_bar
from service.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command()(roofline)


def roofline(
    model: ModelOption,
    prefill_tokens: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Length of a prompt; repeat it for more. Default: 512 and 1024."),
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Prompt of the request that decodes.")] = 128,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens that it decodes.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the engine, after one to warm up.")] = 5,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache in GiB.")] = 1,
    buffer_mib: Annotated[
        int, typer.Option(min=1, help="Memory read to time it: far more than the caches.")
    ] = 512,
    engine_property: Annotated[
        list[str] | None,
        typer.Option(
            "--property", help="NAME=VALUE of OpenVINO, in place of all of the service's; repeat it."
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show how long each kind of operation takes in a decode step.")
    ] = False,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Measure what this CPU's memory and cores allow, and how much of it the bare engine reaches.

    A decode step of one request reads all weights once: the memory sets its limit. A prompt is computed many
    tokens at a time: the cores set its limit. Other programs take from both: measure on a quiet machine.
    """
    from benchmarks.recording import begin
    from benchmarks.roofline.engine import Lengths
    from benchmarks.roofline.measure import RooflineSettings, measure_roofline
    from benchmarks.roofline.report import show_roofline

    settings = RooflineSettings(
        lengths=Lengths(
            decode_prompt=prompt_tokens, decoded=tokens, prefill=tuple(prefill_tokens or (512, 1024))
        ),
        rounds=rounds,
        cache_gib=cache_gib,
        buffer_bytes=buffer_mib << 20,
        properties=None if engine_property is None else _properties(engine_property),
        seed=seed,
        has_profile=profile,
    )
    run = begin("roofline", settings, output, model=model)
    with progress_bar(settings.turns) as (advance, _):
        results, engine = measure_roofline(model, settings, advance=advance)
    show_roofline(results, out)
    run.finish(results, engine=engine)


def _properties(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    for line, (name, equals, value) in zip(lines, pairs, strict=True):
        if not (name and equals and value):
            raise ConfigError(f"--property takes NAME=VALUE, not {line!r}")
    return {name: value for name, _, value in pairs}

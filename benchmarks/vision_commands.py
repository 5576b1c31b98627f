"""The benchmarks' commands about pictures.

What they measure with is imported late: child processes import this module, too.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command_line import (
    ModelOption,
    OutputOption,
    SeedOption,
    WordsOption,
    finite,
    out,
    progress_bar,
)
from service.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add them to the command line."""
    for command in (vision, vision_accuracy, fuzz_images):
        app.command()(command)


def vision(
    model: ModelOption,
    streams: Annotated[int, typer.Option(min=1, help="Streams of text at once.")] = 16,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens each stream generates, exactly.")] = 256,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side, after one to warm up.")] = 5,
    arrivals_per_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="Other requests a second.")
    ] = 2.0,
    arrival_tokens: Annotated[int, typer.Option(min=1, help="Tokens of each of these.")] = 16,
    picture_side: Annotated[
        int, typer.Option(min=1, max=1024, help="Width and height of the pictures.")
    ] = 512,
    prompt_words: WordsOption = 32,
    cache_gib: Annotated[int, typer.Option(min=1, help="KV cache in GiB.")] = 2,
    seed: SeedOption = 1,
    output: OutputOption = None,
) -> None:
    """Compare the time between tokens of text streams: alone, beside other texts, and beside pictures."""
    from benchmarks.recording import begin
    from benchmarks.report import show_vision
    from benchmarks.vision import VisionSettings, measure_vision, turns

    settings = VisionSettings(
        streams=streams,
        tokens=tokens,
        prompt_words=prompt_words,
        arrivals_per_s=arrivals_per_s,
        arrival_tokens=arrival_tokens,
        picture_side=picture_side,
        rounds=rounds,
        cache_gib=cache_gib,
        seed=seed,
    )
    run = begin("vision", settings, output, model=model)
    with progress_bar(turns(settings)) as (advance, say):
        results = measure_vision(model, settings, advance=advance, say=say)
    show_vision(results, out)
    run.finish(results, has_failed=bool(results.faults))


def vision_accuracy(
    model: ModelOption,
    questions: Annotated[int, typer.Option(min=1, help="Fresh questions; always the same ones.")] = 500,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 16,
    picture_format: Annotated[str, typer.Option(help="PNG or JPEG.")] = "PNG",
    reference: Annotated[
        bool, typer.Option("--reference", help="Ask the unquantised model in transformers, too: needs torch.")
    ] = False,
    gguf: Annotated[
        Path | None, typer.Option(help="For that, the default language model's file, else fetched.")
    ] = None,
    timeout_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="Seconds a request may take.")
    ] = 120.0,
    output: OutputOption = None,
) -> None:
    """Ask the demo vision model about pictures that it has never seen, and count the right answers."""
    from benchmarks.recording import begin
    from benchmarks.report import show_accuracy
    from benchmarks.server import running_server
    from benchmarks.vision_accuracy import AccuracySettings, measure_accuracy
    from benchmarks.vision_reference import reference_answers
    from export.demo_vlm.evaluate import held_out

    if picture_format not in ("PNG", "JPEG"):
        raise ConfigError(f"--picture-format is PNG or JPEG, not {picture_format}")
    settings = AccuracySettings(
        questions=questions, concurrency=concurrency, picture_format=picture_format, timeout_s=timeout_s
    )
    run, examples = begin("vision-accuracy", settings, output, model=model), held_out(questions)
    with progress_bar(questions * (2 if reference else 1)) as (advance, say):
        unquantised = None
        if reference:
            say("asking the unquantised model")
            unquantised = reference_answers(examples, gguf, advance=advance)
        say("starting the server")
        with running_server(model, request_timeout_s=timeout_s) as server:
            results = asyncio.run(
                measure_accuracy(server.target, examples, settings, advance=advance, reference=unquantised)
            )
    show_accuracy(results, out)
    run.finish(results, has_failed=bool(results.faults))


def fuzz_images(
    model: ModelOption,
    files: Annotated[int, typer.Option(min=1, help="Broken and mutated pictures to send.")] = 10_000,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at once.")] = 8,
    warm_up: Annotated[int, typer.Option(min=0, help="Files sent before memory is looked at.")] = 200,
    timeout_s: Annotated[
        float, typer.Option(callback=finite, min=0.1, help="Seconds a request may take.")
    ] = 120.0,
    seed: Annotated[int, typer.Option(help="Decides the mutations.")] = 1,
    output: OutputOption = None,
) -> None:
    """Send files that may be pictures; count answers, refusals, failures. Needs the checkout's tests."""
    from benchmarks.image_fuzz import FuzzSettings, run_image_fuzz
    from benchmarks.recording import begin
    from benchmarks.report import show_fuzz
    from benchmarks.server import running_server

    try:
        from tests.support.bad_images import mutated
    except ImportError as error:
        raise ConfigError("the pictures are made by the tests: run this in the checkout") from error
    settings = FuzzSettings(
        files=files, warm_up=warm_up, concurrency=concurrency, timeout_s=timeout_s, seed=seed
    )
    run = begin("fuzz-images", settings, output, model=model)
    with progress_bar(files) as (advance, say), running_server(model, request_timeout_s=timeout_s) as server:
        say(f"{files} files, {concurrency} at once")
        results = asyncio.run(
            run_image_fuzz(
                server.target, server.pid, mutated(seed, warm_up + files), settings, advance=advance
            )
        )
    show_fuzz(results, out)
    run.finish(results, has_failed=bool(results.faults or results.engine_restarts))

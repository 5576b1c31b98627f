"""Converts a model to OpenVINO IR: the command line.

Run it as `python export/convert.py` from a checkout, installed or not, or as `python -m export.convert`.
"""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

if not __package__:  # run as a script: its own folder is on the import path, and the project is not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import click
import typer
from rich.console import Console
from rich.markup import escape

from export.conversion import convert
from export.existing import default_output, is_already_converted
from export.explain import explain
from export.progress import Steps
from export.quiet import native_output_hidden
from export.recipe import Method
from export.recipes import recommended_weights
from export.request import Request
from export.sources import resolve_source, slug
from export.subject import describe
from service.errors import ConfigError, TiberError
from service.manifest import Device, Task, WeightFormat

EXAMPLES = """
Examples:

  python export/convert.py
      The default model (SmolLM2-135M-Instruct) with INT8 weights, into ./models/smollm2-135m-instruct-int8

  python export/convert.py qwen2.5-0.5b-instruct-q8_0.gguf --output /srv/models/qwen
      A GGUF file; needs no torch

  python export/convert.py ./my-finetuned-model --weights int4
      A Hugging Face folder; needs: pip install '.[export]'

  python export/convert.py --list --device gpu --memory 16GB
      The catalogue: what an Arc with 16 GB serves; then convert one by its name

  python export/convert.py llama-3.1-8b-instruct --device gpu --explain
      The recipe, its reasons and sources, and what it needs; converts nothing

  python export/convert.py tiny-shapes-vlm
      The demo vision model, which knows coloured shapes and nothing else; needs the same

  python export/convert.py HuggingFaceTB/SmolLM2-360M-Instruct --revision main
      A model on the Hugging Face hub; needs the same, and the network
"""

DEVICES: dict[str, Device] = {"CPU": "CPU", "GPU": "GPU", "GAUDI": "GAUDI"}
EPILOG = EXAMPLES.replace("\n\n", "\n\n\b\n")  # click re-wraps every paragraph without the \b


class _Interrupted(BaseException):
    """Asked to end; not a KeyboardInterrupt, which typer turns into a return value."""


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(name="convert.py", epilog=EPILOG, context_settings={"max_content_width": 110})
def command(
    source: Annotated[str | None, typer.Argument(show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write; ./models/NAME-WEIGHTS if not given.")
    ] = None,
    weights: Annotated[
        WeightFormat | None,
        typer.Option(help="How the weights are stored; what is recommended for the device if not given."),
    ] = None,
    task: Annotated[
        Task | None, typer.Option(help="What the model must be made for; found by itself if not given.")
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="Device that will serve the model: a Xeon, an Arc, a Gaudi.",
            click_type=click.Choice(("cpu", "gpu", "gaudi"), case_sensitive=False),
        ),
    ] = "cpu",
    name: Annotated[
        str | None, typer.Option(help="What the service calls the model; after SOURCE if not given.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Convert again, replacing the model there.")] = False,
    method: Annotated[
        Method | None, typer.Option(help="How INT4 is made more accurate; the recipe's if not given.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Text that --method reads, UTF-8; ours if not given.")
    ] = None,
    explains: Annotated[
        bool, typer.Option("--explain", help="Print the recipe, why, and what it needs; convert nothing.")
    ] = False,
    lists: Annotated[bool, typer.Option("--list", help="Print the catalogue; convert nothing.")] = False,
    memory: Annotated[
        str | None, typer.Option(help="With --list: only what is served in so much, such as 32GB.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: as JSON.")] = False,
) -> None:
    """Convert a model to an OpenVINO folder that tiber-serve serves.

    SOURCE is a .gguf file, a Hugging Face model folder, a hub id such as org/name, a name that --list
    prints, or nothing (or 'default') for the embedded default model.

    The folder's path is printed on stdout, everything else on stderr. The folder appears whole or not at all.
    """
    served_on = DEVICES[device.upper()]
    if lists:
        _list(source, served_on, weights, memory, as_json)
        return
    if memory is not None or as_json:
        raise ConfigError(f"{'--memory' if memory is not None else '--json'} is for --list: add it")
    resolved = resolve_source(source, revision)
    called = _checked_name(name) if name is not None else resolved.name
    stored_as = weights or recommended_weights(served_on)
    place = Path(output or default_output(called, stored_as)).expanduser().resolve()
    request = Request(
        name=called,
        output=place,
        weights=stored_as,
        device=served_on,
        force=force,
        task=task,
        method=method,
        calibration=calibration,
    )
    request.recipe_for(None, None)  # refuses what the device has no recipe for, before anything is done
    if explains:
        sys.stdout.write(explain(describe(resolved), request))
        return
    console = Console(stderr=True)
    if is_already_converted(resolved, request):
        console.print(f"already converted: {escape(str(place))}", highlight=False, soft_wrap=True)
    else:
        with native_output_hidden():
            convert(resolved, request, Steps(console))
        console.print(f"converted: {escape(str(place))}", highlight=False, soft_wrap=True)
    sys.stdout.write(f"{place}\n")


def main() -> None:
    """Run the command; every expected failure is one line on stderr."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app(standalone_mode=False)
    except click.ClickException as error:
        _fail(f"{error.format_message().replace(chr(10), ' ')} (see --help)", error.exit_code)
    except ConfigError as error:
        _fail(error.message, 2)
    except TiberError as error:
        _fail(error.message, 1)
    except _Interrupted:
        _fail("interrupted: the output is as it was before", 130)


def _list(
    source: str | None, device: Device, weights: WeightFormat | None, memory: str | None, as_json: bool
) -> None:
    from export import listing

    if source is not None:
        raise ConfigError(f"--list takes no SOURCE: leave {source} out, or use --explain for one model")
    room = None if memory is None else listing.parse_memory(memory)
    found = listing.offers(device, weights, room)
    if as_json:
        sys.stdout.write(listing.as_json(found))
    else:
        listing.print_offers(found, device, room, Console())


def _checked_name(name: str) -> str:
    if name != slug(name):
        raise ConfigError(
            f"--name {name}: use lower case letters, digits, dots, dashes, such as {slug(name)}"
        )
    return name


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _Interrupted


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()

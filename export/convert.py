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
from export.existing import default_output, is_already_converted, is_unverified
from export.progress import Steps
from export.quality.errors import EXIT_CODE, QualityError
from export.quiet import native_output_hidden
from export.request import Request
from export.sources import resolve_source, slug
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

  python export/convert.py tiny-shapes-vlm
      The demo vision model, which knows coloured shapes and nothing else; needs the same

  python export/convert.py HuggingFaceTB/SmolLM2-360M-Instruct --revision main
      A model on the Hugging Face hub; needs the same, and the network
"""

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
    weights: Annotated[WeightFormat, typer.Option(help="How the weights are stored.")] = "int8",
    task: Annotated[
        Task | None, typer.Option(help="What the model must be made for; found by itself if not given.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device that will serve the model.")] = "CPU",
    name: Annotated[
        str | None, typer.Option(help="What the service calls the model; after SOURCE if not given.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Convert again, replacing the model there.")] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare the converted model with its source.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Publish a model whose quality is below its threshold, too.")
    ] = False,
) -> None:
    """Convert a model to an OpenVINO folder that tiber-serve serves.

    SOURCE is a .gguf file, a Hugging Face model folder, a hub id such as org/name, tiny-shapes-vlm for
    the demo vision model, or nothing (or 'default') for the embedded default model.

    The folder's path is printed on stdout, everything else on stderr. The folder appears whole or not at all.
    """
    resolved = resolve_source(source, revision)
    called = _checked_name(name) if name is not None else resolved.name
    if no_verify and accept:
        raise ConfigError("--accept needs the comparison that --no-verify leaves out: give one of them")
    place = Path(output or default_output(called, weights)).expanduser().resolve()
    request = Request(
        name=called,
        output=place,
        weights=weights,
        device=device,
        force=force,
        task=task,
        verify=not no_verify,
        accept=accept,
    )
    console = Console(stderr=True)
    if is_already_converted(resolved, request):
        console.print(f"already converted: {escape(str(place))}", highlight=False, soft_wrap=True)
        if request.verify and is_unverified(place):
            hint = f"not verified: run python export/verify.py {escape(str(place))}"
            console.print(hint, highlight=False, soft_wrap=True)
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
    except QualityError as error:
        _fail(error.message, EXIT_CODE)
    except TiberError as error:
        _fail(error.message, 1)
    except _Interrupted:
        _fail("interrupted: the output is as it was before", 130)


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

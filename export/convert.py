"""Converts a model to OpenVINO IR: the command line.

Run it as `python export/convert.py` from a checkout, installed or not, or as `python -m export.convert`.
"""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a script: its own folder is on the import path, and the project is not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # until `main` takes them over: nothing is to be tidied yet
        signal.signal(number, signal.SIG_DFL)

import click
import typer
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape

from export.command_help import GroupedCommand
from export.conversion import convert
from export.cores import bound_cores, usable_cores
from export.existing import default_output, is_already_converted, is_unverified
from export.explain import explain
from export.interrupt import EXIT_CODE as INTERRUPTED
from export.interrupt import Interrupted, Interrupts
from export.outcome import Status, failure, success
from export.progress import Steps
from export.publish import abandon, is_model_folder
from export.publishable import refuse_to_push
from export.quality.errors import EXIT_CODE as QUALITY
from export.quality.errors import QualityError
from export.quiet import native_output_hidden
from export.recipe import Method
from export.recipes import recommended_weights
from export.request import Request
from export.sources import Source, resolve_source, slug
from export.subject import describe
from service.errors import ConfigError, TiberError
from service.manifest import Device, Task, WeightFormat, read_manifest

if TYPE_CHECKING:
    from export.hub.push import Publisher

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
      A model on the Hugging Face hub; needs the same, and the network. Its files go to the hub's own
      cache (HF_HOME); interrupted, the same command goes on where it was

  python export/convert.py org/name --json | jq -r .folder
      For a pipeline: one JSON object on stdout, progress as JSON lines on stderr

  python export/convert.py org/name --push me/name-int8 --private
      Convert, then publish the folder with a model card; needs a token: hf auth login

Exit codes:

  0    converted, or already converted
  1    failed; the output is as it was before
  2    wrong use
  3    converted, but the quality is below its threshold: not put in place
  130  interrupted (Ctrl-C, SIGTERM); the output is as it was before
"""

DEVICES: dict[str, Device] = {"CPU": "CPU", "GPU": "GPU", "GAUDI": "GAUDI"}
EPILOG = EXAMPLES.replace("\n\n", "\n\n\b\n")  # click re-wraps every paragraph without the \b
DEFAULT_DOWNLOADS = 8  # more at once is no faster
LIST_OPTIONS = frozenset({"source", "lists", "device", "weights", "memory", "as_json"})
EXPLAIN_OPTIONS = frozenset({"source", "explains", "output", "weights", "task", "device", "name", "force"})
EXPLAIN_OPTIONS |= {
    "method",
    "calibration",
    "revision",
    "allow_pickle",
    "offline",
    "no_verify",
    "accept",
    "jobs",
}
RECIPE, SOURCES = "Recipe and catalogue", "Source and safety"
NETWORK, RUNNING = "Network and publishing", "Running"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    name="convert.py", cls=GroupedCommand, epilog=EPILOG, context_settings={"max_content_width": 110}
)
def command(
    context: typer.Context,
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
    force: Annotated[bool, typer.Option("--force", help="Convert again, replacing the model there.")] = False,
    method: Annotated[
        Method | None,
        typer.Option(
            help="How INT4 is made more accurate; the recipe's if not given.", rich_help_panel=RECIPE
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Text that --method reads, UTF-8; ours if not given.", rich_help_panel=RECIPE),
    ] = None,
    explains: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Print the recipe, why, and what it needs; convert nothing.",
            rich_help_panel=RECIPE,
        ),
    ] = False,
    lists: Annotated[
        bool,
        typer.Option("--list", help="Print the catalogue; convert nothing.", rich_help_panel=RECIPE),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            help="With --list: only what is served in so much, such as 32GB.", rich_help_panel=RECIPE
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel=SOURCES)
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="Read weights in Python pickles (*.bin), which can run code, when there are no safetensors.",
            rich_help_panel=SOURCES,
        ),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Touch no network: sources on this disk and in the hub's cache alone.",
            rich_help_panel=NETWORK,
        ),
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="ORG/NAME",
            help="Publish the folder to this repository of the hub, with a model card.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    private: Annotated[
        bool,
        typer.Option("--private", help="Make a new --push repository private.", rich_help_panel=NETWORK),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU cores to use and files to download at once; all if not given.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object on stdout, JSON lines on stderr.", rich_help_panel=RUNNING
        ),
    ] = False,
    no_verify: Annotated[
        bool,
        typer.Option(
            "--no-verify",
            help="Do not compare the converted model with its source.",
            rich_help_panel=SOURCES,
        ),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Publish a model whose quality is below its threshold, too.",
            rich_help_panel=SOURCES,
        ),
    ] = False,
) -> None:
    """Convert a model to an OpenVINO folder that tiber-serve serves.

    SOURCE is a .gguf file, a Hugging Face model folder, a hub id such as org/name, a name that --list
    prints, or nothing (or 'default') for the embedded default model.

    The folder's path is printed on stdout, everything else on stderr. The folder appears whole or not at all.
    """
    began_s = time.monotonic()
    served_on = DEVICES[device.upper()]
    if lists:
        _refuse_beside(context, "--list", LIST_OPTIONS)
        _list(source, served_on, weights, memory, as_json)
        return
    if memory is not None:
        raise ConfigError("--memory is for --list: add it")
    if explains:
        _refuse_beside(context, "--explain", EXPLAIN_OPTIONS)
    if accept and served_on == "GAUDI":
        raise ConfigError(
            "--accept is for what is compared with its source, which Gaudi's checkpoints are not"
        )
    resolved = resolve_source(source, revision)
    called = _checked_name(name) if name is not None else resolved.name
    stored_as = weights or recommended_weights(served_on)
    if no_verify and accept:
        raise ConfigError("--accept needs the comparison that --no-verify leaves out: give one of them")
    place = Path(output or default_output(called, stored_as, served_on)).expanduser().resolve()
    if jobs is not None:
        bound_cores(jobs)
    request = Request(
        name=called,
        output=place,
        weights=stored_as,
        device=served_on,
        force=force,
        task=task,
        method=method,
        calibration=calibration,
        offline=offline,
        allow_pickle=allow_pickle,
        verify=not no_verify,
        accept=accept,
        jobs=jobs or min(DEFAULT_DOWNLOADS, usable_cores()),
    )
    request.recipe_for(None, None)  # refuses what the device has no recipe for, before anything is done
    if explains:
        sys.stdout.write(explain(describe(resolved), request))
        return
    steps = Steps(Console(stderr=True), json_lines=as_json)
    publisher = _publisher(push, private=private, offline=offline)
    context.obj.tidy_with(partial(abandon, place, keep_parent=place.parent.exists()))
    status = _convert(resolved, request, steps)
    steps.note(f"{status.replace('-', ' ')}: {escape(str(place))}")
    if status == "already-converted" and request.verify and is_unverified(place):
        steps.note(f"not verified: run python export/verify.py {escape(str(place))}")
    pushed = _pushed(publisher, resolved, request, steps) if publisher else None
    line = success(status, place, time.monotonic() - began_s, pushed) if as_json else str(place)
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Run the command; every expected failure is one line on stderr."""
    began_s = time.monotonic()
    interrupts = Interrupts()
    interrupts.listen()
    try:
        app(standalone_mode=False, obj=interrupts)
    except click.ClickException as error:
        _fail(f"{error.format_message().replace(chr(10), ' ')} (see --help)", error.exit_code, began_s)
    except ConfigError as error:
        _fail(error.message, 2, began_s)
    except QualityError as error:
        _fail(error.message, QUALITY, began_s)
    except TiberError as error:
        _fail(error.message, 1, began_s)
    except Interrupted as error:
        _fail(f"interrupted: {str(error) or 'the output is as it was before'}", INTERRUPTED, began_s)


def _convert(source: Source, request: Request, steps: Steps) -> Status:
    if is_already_converted(source, request):
        return "already-converted"
    began = datetime.now(UTC)
    try:
        with native_output_hidden():
            convert(source, request, steps)
    except Interrupted as error:
        if _is_newer(request.output, began):
            raise Interrupted(f"{request.output} is converted and whole") from error
        raise
    return "converted"


def _is_newer(folder: Path, moment: datetime) -> bool:
    """Whether the model in `folder` was made after `moment`: a signal came when it was in place already."""
    return is_model_folder(folder) and read_manifest(folder).created_at > moment


def _publisher(repo_id: str | None, *, private: bool, offline: bool) -> "Publisher | None":
    if repo_id is None:
        if private:
            raise ConfigError("--private needs --push ORG/NAME")
        return None
    if offline:
        raise ConfigError("--push needs the network and --offline forbids it: choose one")
    from export.hub.push import publisher

    return publisher(repo_id, private=private)


def _pushed(publisher: "Publisher", source: Source, request: Request, steps: Steps) -> str:
    refuse_to_push(request.output, request)
    try:
        return publisher(request.output, source, steps)
    except Interrupted as error:
        raise Interrupted(f"{request.output} is converted and whole, and not published") from error


def _refuse_beside(context: typer.Context, option: str, understood: frozenset[str]) -> None:
    """Refuse options that would mean nothing beside `option`.

    Raises:
        ConfigError: naming the first.
    """
    for parameter in context.command.params:
        given = parameter.name and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
        if given and parameter.name not in understood:
            raise ConfigError(f"{parameter.opts[0]} means nothing beside {option}: leave one of them out")


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


def _fail(message: str, code: int, began_s: float) -> None:
    if "--json" in sys.argv[1:]:  # also where the arguments could not be read
        sys.stdout.write(f"{failure(message, code, time.monotonic() - began_s)}\n")
        sys.stderr.write(json.dumps({"event": "error", "message": message}) + "\n")
    else:
        sys.stderr.write(f"error: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()

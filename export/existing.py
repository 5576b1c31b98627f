"""Tells whether an output folder already holds what a conversion is asked for."""

import hashlib
from pathlib import Path

from export.calibration import calibration_sha256
from export.checksum import file_sha256, folder_sha256
from export.gguf.parts import model_sha256
from export.publish import is_model_folder, recover, refuse_foreign
from export.request import Request
from export.sources import DemoSource, FolderSource, GgufSource, HubSource, Source
from service.errors import ConfigError
from service.manifest import Manifest, read_manifest

REPORT_FILE = "report.json"  # as export.quality.report names it
DEMO_PARTS = Path(__file__).with_name("demo_vlm")


def is_already_converted(source: Source, request: Request) -> bool:
    """Whether the output holds this very conversion; False also when it is to be made again.

    Raises:
        ConfigError: when it holds another model, or files that are not a model.
        ModelFolderError: when it holds a model of another version of this project.
    """
    recover(request.output)
    refuse_foreign(request.output)
    if request.force or not is_model_folder(request.output):
        return False
    difference = _difference(read_manifest(request.output), source, request)
    if difference is None:
        return True
    raise ConfigError(f"{request.output} holds {difference}: use --force, or choose another --output")


def is_unverified(folder: Path) -> bool:
    """Whether the converted folder could be compared with its source, and has no report of it."""
    manifest = read_manifest(folder)
    comparable = manifest.task == "text-generation" and manifest.engine == "openvino"
    return comparable and not (folder / REPORT_FILE).is_file()


def _difference(manifest: Manifest, source: Source, request: Request) -> str | None:
    """What the converted model has that was not asked for, in words; None when nothing."""
    there = manifest.source
    if (there.kind, there.identity) != (source.kind, source.identity):
        return f"a model from {there.identity}, not {source.identity}"
    if manifest.weight_format != request.weights:
        return f"{manifest.weight_format} weights, not {request.weights}"
    if manifest.device != request.device:
        return f"a model for {manifest.device}, not {request.device}"
    if request.task not in (None, manifest.task):
        return f"a model for {manifest.task}, not {request.task}"
    recipe = _recipe_difference(manifest, request)
    if recipe is not None:
        return recipe
    if manifest.name != request.name:
        return f"a model named {manifest.name}, not {request.name}"
    return _content_difference(manifest, source)


def _recipe_difference(manifest: Manifest, request: Request) -> str | None:
    """How the weights there were made otherwise; folders of before recipes tell nothing else."""
    there, is_gguf = manifest.recipe, manifest.source.kind in ("gguf", "package")
    if there is None:
        is_inexact = is_gguf and manifest.task == "text-generation" and manifest.engine == "openvino"
        return "weights that an earlier version did not read exactly" if is_inexact else None
    model_id = None if is_gguf else manifest.source.identity
    wanted = request.recipe_for(manifest.architecture, model_id)
    if there.method != wanted.method:
        return f"weights made with the method {there.method}, not {wanted.method}"
    if (there.mode, there.ratio) != (wanted.mode or wanted.weights, wanted.ratio):
        return f"weights of an older recipe ({there.mode} on {there.ratio:.0%} of the layers)"
    text = calibration_sha256(wanted.calibration) if wanted.is_calibrated else None
    return None if there.calibration_sha256 == text else "weights calibrated with another text"


def _content_difference(manifest: Manifest, source: Source) -> str | None:
    there = manifest.source
    if isinstance(source, HubSource):
        if source.revision is None or (there.revision or "").startswith(source.revision):
            return None
        from export.hub.cache import repository_cache

        # A branch or tag: the commit that it was when it was last downloaded.
        known = repository_cache(source.repo_id).find_snapshot(source.revision)
        if known is not None and known.name == there.revision:
            return None
        return f"revision {there.revision}, not {source.revision}"
    if there.sha256 == source_sha256(source):
        return None
    return f"another version of {source.identity}"


def source_sha256(source: Source) -> str | None:
    """The fingerprint of a source's content; a hub's is its revision instead."""
    if isinstance(source, HubSource):
        return None
    if isinstance(source, FolderSource):
        return folder_sha256(source.path)
    if isinstance(source, GgufSource):
        return model_sha256(source.path)
    if isinstance(source, DemoSource):
        return _demo_sha256(source)
    return source.sha256


def _demo_sha256(source: DemoSource) -> str:
    """Over the language model's file and the trained parts."""
    parts = [source.language_model.sha256, *map(file_sha256, sorted(DEMO_PARTS.rglob("*.safetensors")))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def default_output(name: str, weights: str, device: str) -> Path:
    """Where a model goes unless another place is asked for; CPU and GPU run the same files."""
    return Path("models") / (f"{name}-gaudi-{weights}" if device == "GAUDI" else f"{name}-{weights}")

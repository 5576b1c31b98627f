"""Converts a Hugging Face folder through optimum-intel, which needs torch."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.announce import announce, report
from export.architecture import context_length, eos_token_ids, find_task, read_config, read_json
from export.checksum import folder_sha256
from export.errors import ConversionError
from export.exported import refuse_compressed
from export.hub import fetch_hub_folder
from export.optimum_intel import export_model, require_extra
from export.progress import Steps
from export.publish import LANGUAGE_MODEL_FILE, MODEL_FILE, Workspace
from export.recipe import Recipe
from export.request import Converted, Request
from export.resources import check_resources, folder_need
from export.shape import from_config
from export.sources import FolderSource, HubSource
from export.vision import check_convertible, compress_parts, describe_vision
from export.vision_recipes import RECIPES
from export.weight_view import checked_weights
from service.manifest import TOKENIZER_FILE
from service.manifest import Source as SourceRecord

if TYPE_CHECKING:
    from export.quantise import Compression


def convert_huggingface(
    source: FolderSource | HubSource, request: Request, work: Workspace, steps: Steps
) -> Converted:
    """Write the model of `source` into the workspace.

    Raises:
        ConversionError: when the `export` extra is missing, the model can't be fetched or is of a
            kind that can't be converted, or the conversion itself fails.
    """
    if isinstance(source, FolderSource):
        find_task(read_config(source.path), str(source.path), request.task)
    require_extra()
    folder, record = locate(source, request, steps)
    return convert_folder(folder, record, request, work, steps)


def convert_folder(
    folder: Path, record: SourceRecord, request: Request, work: Workspace, steps: Steps
) -> Converted:
    """Write the model of a Hugging Face folder, or of one that optimum-cli has exported, into the workspace.

    Raises:
        ConversionError: when it is of a kind that can't be converted, or the conversion itself fails.
    """
    config = read_config(folder)
    task = find_task(config, record.identity, request.task)
    model_file = MODEL_FILE if task == "text-generation" else LANGUAGE_MODEL_FILE
    is_exported = (folder / model_file).is_file()
    if task == "image-text-to-text" and not is_exported:
        check_convertible(config, record.identity)
    if is_exported:
        weight_bytes = sum(file.stat().st_size for file in folder.glob("openvino_*.bin"))
    else:
        folder, weight_bytes = checked_weights(
            folder, work.scratch("weights"), steps, allow_pickle=request.allow_pickle
        )
    recipe = request.recipe_for(str(config.get("model_type")), record.identity)
    if recipe.is_calibrated and task == "image-text-to-text":
        raise ConversionError(
            f"{record.identity}: the language part of a vision model reads embeddings, so texts can't "
            "calibrate it: leave --method and --calibration out, or use --method none"
        )
    need = folder_need(weight_bytes=weight_bytes, weights=request.weights, is_calibrated=recipe.is_calibrated)
    announce(recipe, need, from_config(config, weight_bytes), steps)
    check_resources(need, request.output.parent)
    exported = work.scratch("exported")
    if is_exported:
        refuse_compressed(folder)
        shutil.copytree(folder, exported)
    else:
        with steps.step("Exporting through optimum-intel"):
            export_model(folder, exported, task)
    converted = _finish(exported, work.model, record, recipe, config, steps)
    with steps.step("Checking the tokenizer"):
        _check_tokenizer(work.model, steps)
    return converted


def _finish(
    exported: Path,
    folder: Path,
    record: SourceRecord,
    recipe: Recipe,
    config: dict[str, Any],
    steps: Steps,
) -> Converted:
    parts = RECIPES.get(str(config.get("model_type")))
    if parts is None:
        compression = _compress(exported, recipe, folder, steps)
    else:
        compression = compress_parts(exported, folder, parts, recipe, steps)
    report(compression, steps)
    move_side_files(exported, folder, record.identity)
    converted = (
        _describe(folder, record, compression.group_size)
        if parts is None
        else describe_vision(folder, record, compression.group_size)
    )
    return replace(converted, recipe=compression.record(), hardware_note=recipe.hardware_note)


def locate(source: FolderSource | HubSource, request: Request, steps: Steps) -> tuple[Path, SourceRecord]:
    """The folder of `source`, fetched if need be, and its record for the manifest."""
    if isinstance(source, FolderSource):
        with steps.step("Fingerprinting the source"):
            sha256 = folder_sha256(source.path)
        return source.path, SourceRecord(kind="folder", identity=source.identity, sha256=sha256)
    folder = fetch_hub_folder(source, request, steps)
    return folder, SourceRecord(kind="hub", identity=source.repo_id, revision=folder.name)


def _compress(exported: Path, recipe: Recipe, folder: Path, steps: Steps) -> "Compression":
    import openvino
    from tokenizers import Tokenizer

    from export.quantise import compress

    def encode(text: str) -> list[int]:
        return list(Tokenizer.from_file(str(exported / TOKENIZER_FILE)).encode(text).ids)

    model = openvino.Core().read_model(exported / MODEL_FILE)
    with steps.step(f"Compressing the weights to {recipe.weights.upper()}"):
        model, compression = compress(model, recipe, encode)
    with steps.step("Saving"):
        openvino.save_model(model, folder / MODEL_FILE, compress_to_fp16=recipe.weights == "fp16")
    return compression


def move_side_files(exported: Path, folder: Path, model: str) -> None:
    """Move all but the 16-bit weights: tokenizers, configs, chat templates."""
    for file in exported.iterdir():
        is_weights = file.stem.startswith("openvino_") and file.stem.endswith("model")
        if (file.is_file() and not is_weights) or file.name == "additional_chat_templates":
            shutil.move(file, folder / file.name)
    for name in (TOKENIZER_FILE, "openvino_tokenizer.xml", "openvino_detokenizer.xml"):
        if not (folder / name).is_file():
            raise ConversionError(
                f"{model} has no tokenizer that {name} can be made from: get the whole model"
            )


def _check_tokenizer(folder: Path, steps: Steps) -> None:
    """Only tell: the service reads tokenizer.json, which here is the model's own, not built by us."""
    from export.tokenizer_check import find_disagreement

    disagreement = find_disagreement(folder)
    if disagreement is not None:
        steps.note(f"[yellow]OpenVINO's tokenizer differs from the model's in the {disagreement}[/yellow]")


def _describe(folder: Path, record: SourceRecord, group_size: int | None) -> Converted:
    config = read_config(folder)
    return Converted(
        source=record,
        task="text-generation",
        architecture=str(config.get("model_type", "unknown")),
        group_size=group_size,
        context_length=context_length(config, record.identity),
        eos_token_ids=eos_token_ids(read_json(folder / "generation_config.json"), config, record.identity),
    )

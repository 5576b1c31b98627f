"""Converts a Hugging Face folder through optimum-intel, which needs torch."""

import importlib.util
import json
import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

from export.architecture import check_supported, context_length, eos_token_ids, read_config
from export.checksum import folder_sha256
from export.errors import ConversionError
from export.hub import fetch_hub_folder
from export.progress import Steps
from export.publish import MODEL_FILE, Workspace
from export.request import Converted, Request
from export.resources import check_resources, folder_need
from export.sources import FolderSource, HubSource
from service.manifest import TOKENIZER_FILE
from service.manifest import Source as SourceRecord


def convert_huggingface(
    source: FolderSource | HubSource, request: Request, work: Workspace, steps: Steps
) -> Converted:
    """Write the model of `source` into the workspace.

    Raises:
        ConversionError: when the `export` extra is missing, the model can't be fetched or is of a
            kind that can't be converted, or the conversion itself fails.
    """
    if isinstance(source, FolderSource):
        check_supported(read_config(source.path), str(source.path))
    _require_extra()
    folder, record = _locate(source, steps)
    weight_bytes = sum(
        file.stat().st_size for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind)
    )
    if not weight_bytes:
        raise ConversionError(f"{folder} holds no weights (*.safetensors or *.bin): get the whole model")
    check_resources(folder_need(weight_bytes=weight_bytes, weights=request.weights), request.output.parent)
    exported = work.scratch("exported")
    with steps.step("Exporting through optimum-intel"):
        _export(folder, exported)
    group_size = _compress(exported, request, work.model, steps)
    move_side_files(exported, work.model, source.identity)
    with steps.step("Checking the tokenizer"):
        _check_tokenizer(work.model, steps)
    return _describe(work.model, record, group_size)


def _require_extra() -> None:
    for module in ("torch", "transformers", "optimum"):
        if importlib.util.find_spec(module) is None:
            raise ConversionError(
                f"converting a Hugging Face model needs {module}, which is not installed: "
                "run pip install '.[export]' in the project's folder (several GB)"
            )


def _locate(source: FolderSource | HubSource, steps: Steps) -> tuple[Path, SourceRecord]:
    if isinstance(source, FolderSource):
        with steps.step("Fingerprinting the source"):
            sha256 = folder_sha256(source.path)
        return source.path, SourceRecord(kind="folder", identity=source.identity, sha256=sha256)
    folder = fetch_hub_folder(source)
    return folder, SourceRecord(kind="hub", identity=source.repo_id, revision=folder.name)


def _export(folder: Path, exported: Path) -> None:
    """Write the 16-bit OpenVINO model and its tokenizers to `exported`; no code of the model's own is run."""
    os.environ.setdefault("NNCF_CI", "1")  # or importing NNCF reports the use of it over the network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about every shape that becomes a constant
        logging.getLogger("torch").setLevel(logging.ERROR)  # optimum undoes `logging.disable`
        try:
            from optimum.exporters.openvino import main_export
            from optimum.intel import OVConfig
            from transformers.utils.logging import disable_progress_bar, set_verbosity_error

            set_verbosity_error()
            disable_progress_bar()
            main_export(
                str(folder),
                output=exported,
                task="text-generation-with-past",
                library_name="transformers",
                ov_config=OVConfig(dtype="fp16"),
                convert_tokenizer=True,
                local_files_only=True,
            )
        except Exception as error:  # a border: what a model's code raises has no common type
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConversionError(
                f"optimum-intel can't export {folder.name} ({reason}): check that the folder is whole, "
                "and that optimum-intel supports this model's type"
            ) from error


def _compress(exported: Path, request: Request, folder: Path, steps: Steps) -> int | None:
    import openvino

    from export.quantise import compress

    model = openvino.Core().read_model(exported / MODEL_FILE)
    with steps.step(f"Compressing the weights to {request.weights.upper()}"):
        model, group_size = compress(model, request.weights)
    with steps.step("Saving"):
        openvino.save_model(model, folder / MODEL_FILE, compress_to_fp16=request.weights == "fp16")
    return group_size


def move_side_files(exported: Path, folder: Path, model: str) -> None:
    """Move all but the 16-bit weights: tokenizers, configs, chat templates."""
    for file in exported.iterdir():
        is_weights = file.stem == Path(MODEL_FILE).stem
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
    path = folder / "generation_config.json"
    generation: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return Converted(
        source=record,
        task="text-generation",
        architecture=str(config.get("model_type", "unknown")),
        group_size=group_size,
        context_length=context_length(config, record.identity),
        eos_token_ids=eos_token_ids(generation, config, record.identity),
    )

"""Converts one source to a checkpoint for vLLM on Gaudi."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.architecture import context_length, eos_token_ids, find_task, read_config, read_json
from export.errors import ConversionError
from export.existing import source_sha256
from export.gaudi.formats import make_config, make_scheme, pick_group_size
from export.gaudi.gguf_model import read_model
from export.gaudi.launch import hardware_note, launch_settings
from export.gaudi.layers import Layers, find_layers, read_layers, repeated_weights
from export.gaudi.needs import gguf_need, loading_need, writing_need
from export.gaudi.quantise import write_quantised
from export.gaudi.side_files import check_tokenizer, copy_side_files, write_config, write_gguf_side_files
from export.gaudi.tensors import StoredTensor, list_folder, list_model
from export.gguf.exact import known_geometry
from export.gguf.file import read_gguf
from export.gguf.transformers_reading import left_out
from export.progress import Steps
from export.publish import Workspace
from export.request import Converted, Request
from export.resources import available_memory, check_resources, readable
from export.sources import GgufSource, PackageSource
from export.tool_format import tool_format
from export.versions import installed_versions
from service.manifest import Manifest
from service.manifest import Source as SourceRecord

TOOLS = ("torch", "transformers", "compressed-tensors", "safetensors", "tokenizers", "gguf")
UNQUANTISED = Layers(quantisable={}, kept=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A model as it is before: its description, and its weights to be read one by one."""

    config: dict[str, Any]
    tensors: list[StoredTensor]
    layers: Layers
    record: SourceRecord


def convert_folder(
    folder: Path, record: SourceRecord, request: Request, work: Workspace, steps: Steps
) -> Manifest:
    """Write the checkpoint of a Hugging Face folder into the workspace, never loading the whole model.

    Raises:
        ConversionError: when it is of a kind that can't be converted.
    """
    config = read_config(folder)
    if find_task(config, record.identity, request.task) != "text-generation":
        raise ConversionError(f"{record.identity} is not for text alone, and only that is written for GAUDI")
    if "quantization_config" in config:
        raise ConversionError(f"{record.identity} is quantised already: convert the original model")
    tensors = list_folder(folder)
    with steps.step("Finding the linear layers"):
        layers = UNQUANTISED if request.weights == "bf16" else read_layers(folder)
    check_resources(writing_need(tensors, layers, request.weights), request.output.parent)
    copy_side_files(folder, work.model)
    original = Original(config=config, tensors=tensors, layers=layers, record=record)
    return _write(original, request, work, steps)


def convert_gguf(
    source: PackageSource | GgufSource, path: Path, request: Request, work: Workspace, steps: Steps
) -> Manifest:
    """Write the checkpoint of the GGUF file at `path` into the workspace; transformers unpacks it in memory.

    Raises:
        ConversionError: when it is of a kind that can't be converted.
    """
    if request.task not in (None, "text-generation"):
        raise ConversionError(f"{source.identity} is a GGUF file, and those are for text: leave --task out")
    gguf = read_gguf(path)
    known_geometry(gguf)
    unread = left_out(gguf)
    if unread is not None:
        raise ConversionError(f"transformers leaves {unread} out of {path.name}: convert the model's folder")
    write_gguf_side_files(gguf, work.model)  # first: it refuses in a second what would fail after minutes
    check_resources(gguf_need(gguf.parameter_count), request.output.parent)
    with steps.step("Reading the weights"):
        model = read_model(path)
    original = Original(
        config=model.config.to_diff_dict() | {"architectures": [type(model).__name__]},
        tensors=list_model(model, leave_out=repeated_weights(model)),
        layers=UNQUANTISED if request.weights == "bf16" else find_layers(model, source.identity),
        record=SourceRecord(kind=source.kind, identity=source.identity, sha256=source_sha256(source)),
    )
    return _write(original, request, work, steps)


def try_out(folder: Path, manifest: Manifest, steps: Steps) -> Manifest:
    """Generate a few tokens with the checkpoint in transformers.

    Returns the manifest; where memory does not allow the try, it says so.
    """
    from export.gaudi.transformers_run import generate_few

    need, there = loading_need(list_folder(folder)), available_memory()
    if need > there:
        missed = f"transformers needs {readable(need)} of memory for it, and {readable(there)} were available"
        steps.note(f"[yellow]The checkpoint was not tried: {missed}[/yellow]")
        note = f"{manifest.hardware_note} Not loaded in transformers either: {missed}."
        return manifest.model_copy(update={"hardware_note": note})
    with steps.step("Trying the checkpoint in transformers on CPU"):
        generate_few(folder)
    return manifest


def _write(original: Original, request: Request, work: Workspace, steps: Steps) -> Manifest:
    """Write weights and description; the side files are there already."""
    layers = original.layers
    is_quantised = bool(layers.quantisable)
    group_size = pick_group_size(request.weights, layers.quantisable.values()) if is_quantised else None
    scheme = make_scheme(request.weights, group_size) if is_quantised else None
    with steps.step(f"Writing the weights as {request.weights.upper()}") as advance:
        write_quantised(original.tensors, layers.quantisable, scheme, work.model, advance)
    write_config(work.model, original.config, make_config(scheme, layers.kept) if scheme else None)
    with steps.step("Checking the tokenizer"):
        check_tokenizer(work.model)
    return _describe(original, group_size, request, work.model)


def _describe(original: Original, group_size: int | None, request: Request, folder: Path) -> Manifest:
    config, identity = original.config, original.record.identity
    converted = Converted(
        source=original.record,
        task="text-generation",
        architecture=str(config.get("model_type", "unknown")),
        group_size=group_size,
        context_length=context_length(config, identity),
        eos_token_ids=eos_token_ids(read_json(folder / "generation_config.json"), config, identity),
    )
    manifest = converted.manifest(request, installed_versions(TOOLS), tool_format(folder))
    settings = {
        "engine": "vllm",
        "launch": launch_settings(request.name, converted.context_length),
        "hardware_note": hardware_note(request.weights),
    }
    return manifest.model_copy(update=settings)

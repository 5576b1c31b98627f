"""Says what a folder is that is not a model in transformers' format, and what to do with it."""

from collections.abc import Collection
from pathlib import PurePosixPath

DATASET_FILES = {"dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json"}
DATASET_SUFFIXES = {".parquet", ".arrow", ".jsonl", ".csv"}

OPENVINO_FILES = {"openvino_model.xml", "openvino_language_model.xml"}


def unconvertible_kind(names: Collection[str]) -> str | None:
    """What the folder with these files (paths below it) is, to follow its name; None when nothing is known.

    Ask before reading config.json: an adapter, or a converted model, has one too.
    """
    top = {name for name in names if "/" not in name}
    if "adapter_config.json" in top and "config.json" not in top:
        return (
            "is an adapter (LoRA), not a whole model: merge it into its base model with peft's "
            "merge_and_unload() and save_pretrained(DIR), then convert DIR"
        )
    if "manifest.json" in top and top & OPENVINO_FILES:
        return "is converted already: serve it, or name the model that it was made from"
    if "openvino_model.xml" in top:
        return "is an OpenVINO model already: name the model that it was made from"
    if "model_index.json" in top:
        return "is a diffusers pipeline, which makes pictures: choose a model that generates text"
    if "config.json" in top:
        return None
    return _without_config(names, top)


def _without_config(names: Collection[str], top: set[str]) -> str:
    if not names:
        return "is empty: name the folder that holds config.json and the weights"
    gguf = min((name for name in names if name.endswith(".gguf")), default=None)
    if gguf is not None:
        return f"holds GGUF files: name one of them, such as {gguf}"
    if "params.json" in top:
        return "is a checkpoint in its maker's own format: get the version for transformers, with config.json"
    inner = min((name for name in names if PurePosixPath(name).name == "config.json"), default=None)
    if inner is not None:
        return f"holds no config.json, but {inner} is there: name the folder {PurePosixPath(inner).parent}"
    suffixes = {PurePosixPath(name).suffix for name in names}
    if top & DATASET_FILES or suffixes & DATASET_SUFFIXES:
        return "is a dataset, not a model: name a model's folder, with config.json and weights"
    return (
        "holds no config.json, so it is not a Hugging Face model folder. "
        "Name the folder that holds config.json and the weights, or a .gguf file"
    )

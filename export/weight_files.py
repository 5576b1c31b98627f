"""Chooses a model's weight files: safetensors, or pickles only where they are asked for."""

import json
import re
from collections.abc import Collection
from pathlib import Path

from export.errors import ConversionError

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
# The names that transformers looks for; others beside them are adapters, copies or training states.
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_PYTORCH = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_PICKLE = re.compile(r"(?!openvino_).*\.(bin|pt|pth|ckpt|pkl|pickle)")


def is_pickle(name: str) -> bool:
    """Whether a file of this name holds pickled Python objects; OpenVINO's .bin files do not."""
    return _PICKLE.fullmatch(name) is not None


def choose_weights(names: Collection[str], model: str, *, allow_pickle: bool) -> frozenset[str]:
    """The weight files that transformers is to read, of a folder with these files.

    Raises:
        ConversionError: when there are none, or only pickles and those were not asked for.
    """
    safetensors = frozenset(name for name in names if _SAFETENSORS.fullmatch(name))
    if safetensors:
        return safetensors
    pickles = frozenset(name for name in names if _PYTORCH.fullmatch(name))
    if not pickles:
        raise ConversionError(f"{model} {_without_weights(names)}")
    if not allow_pickle:
        raise ConversionError(
            f"{model} has its weights only as Python pickles ({min(pickles)}), which can run code of their "
            "author's on loading: get a version with model.safetensors, or, if you trust its author, "
            "add --allow-pickle (read with torch's weights_only loader)"
        )
    return pickles


def _without_weights(names: Collection[str]) -> str:
    pickle = min((name for name in names if is_pickle(name)), default=None)
    if pickle is not None:
        return (
            f"has weights only as a pickle that transformers does not read ({pickle}): "
            "get the model in transformers' format, with model.safetensors"
        )
    stray = min((name for name in names if name.endswith(".safetensors")), default=None)
    if stray is not None:
        return f"has {stray} and no model.safetensors: get the model in transformers' format"
    for suffix, kind in ((".h5", "TensorFlow"), (".msgpack", "Flax"), (".onnx", "ONNX")):
        if any(name.endswith(suffix) for name in names):
            return f"has only {kind} weights: get a version with model.safetensors"
    return "holds no weights (model.safetensors): get the whole model"


def missing_shards(folder: Path, weights: Collection[str]) -> list[str]:
    """The weight files that the folder's index names and that are not there."""
    index = folder / INDEXES[any(map(is_pickle, weights))]
    is_whole = any(name in ("model.safetensors", "pytorch_model.bin") for name in weights)
    if is_whole or not index.is_file():
        return []
    try:
        named = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"{index} names no weight files ({error}): get the model again") from error
    return sorted(name for name in named if not (folder / name).is_file())

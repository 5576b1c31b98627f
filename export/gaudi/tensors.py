"""Lists the tensors of a source, each to be read when it is needed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """One tensor that `load` reads."""

    name: str
    shape: tuple[int, ...]
    load: "Callable[[], torch.Tensor]"

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


def list_folder(folder: Path) -> list[StoredTensor]:
    """The tensors of the safetensors files in a Hugging Face folder.

    Raises:
        ConversionError: when there are none, some are missing, or a file is broken.
    """
    from safetensors import SafetensorError, safe_open

    tensors = []
    for path in _weight_files(folder):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    shape = tuple(file.get_slice(name).get_shape())
                    tensors.append(StoredTensor(name=name, shape=shape, load=partial(_load, path, name)))
        except (SafetensorError, OSError) as error:
            raise ConversionError(f"{path} can't be read as safetensors ({error}): get it again") from error
    return tensors


def list_model(model: "PreTrainedModel", leave_out: frozenset[str]) -> list[StoredTensor]:
    """The tensors of a loaded model, but those of the names in `leave_out`."""
    return [
        StoredTensor(name=name, shape=tuple(value.shape), load=partial(_same, value))
        for name, value in model.state_dict().items()
        if name not in leave_out
    ]


def _weight_files(folder: Path) -> list[Path]:
    """The files that the index names, or the only one."""
    index = folder / INDEX_FILE
    if index.is_file():
        named = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        missing = [name for name in named if "/" in name or not (folder / name).is_file()]
        if missing:
            raise ConversionError(f"{folder} lacks {missing[0]}, which its index names: get the whole model")
        return [folder / name for name in named]
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    raise ConversionError(
        f"{folder} holds no {SINGLE_FILE} nor {INDEX_FILE}, and for GAUDI only safetensors are read: "
        "get the model's safetensors files"
    )


def _load(path: Path, name: str) -> "torch.Tensor":
    # Opened for every tensor: the pages of a file that stays mapped count as this process's memory.
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor


def _same(value: "torch.Tensor") -> "torch.Tensor":
    return value

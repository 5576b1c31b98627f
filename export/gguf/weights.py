"""Unpacks a GGUF model's weights into one file of plain numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from export.gguf.file import GgufFile
from export.gguf.format import Tensor
from export.gguf.geometry import Geometry
from export.gguf.tensors import chunks, exceeds_f16, unpack

ALIGNMENT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    offset: int
    dtype: type[np.floating[Any]]
    shape: tuple[int, ...]


def unpack_weights(
    gguf: GgufFile, geometry: Geometry, path: Path, advance: Callable[[float], None]
) -> Mapping[str, NDArray[Any]]:
    """Write every tensor to `path`; return them by name, mapped from there.

    Matrices are f16, or f32 where a value is beyond f16; vectors (norms, biases) are f32, as files
    hold them. Rows of llama's queries and keys are put in Hugging Face's order. A chunk of one
    tensor is held in memory at a time, of llama's queries and keys the whole tensor.
    """
    places, done = {}, 0
    with path.open("wb") as file:
        for name, tensor in gguf.tensors.items():
            places[name] = _write(file, name, tensor, geometry)
            done += tensor.elements
            advance(done / gguf.parameter_count)
    # Mapped copy-on-write: OpenVINO shares only memory that it could write to.
    whole = np.memmap(path, np.uint8, "c")
    return {name: _view(whole, place) for name, place in places.items()}


def _write(file: BinaryIO, name: str, tensor: Tensor, geometry: Geometry) -> _Place:
    file.write(bytes(-file.tell() % ALIGNMENT))
    offset = file.tell()
    heads = _interleaved_heads(name, geometry)
    dtype: type[np.floating[Any]]
    if len(tensor.shape) == 1 or heads:
        values = unpack(tensor)
        is_beyond = exceeds_f16(values, name)
        dtype = np.float32 if is_beyond or len(tensor.shape) == 1 else np.float16
        file.write((_halves_apart(values, heads) if heads else values).astype(dtype).tobytes())
        return _Place(offset=offset, dtype=dtype, shape=tensor.shape)
    for dtype in (np.float16, np.float32):
        file.seek(offset)
        if _write_chunks(file, name, tensor, dtype):
            break
    return _Place(offset=offset, dtype=dtype, shape=tensor.shape)


def _write_chunks(file: BinaryIO, name: str, tensor: Tensor, dtype: type[np.floating[Any]]) -> bool:
    """Write all of it; False as soon as a value does not fit."""
    for _, values in chunks(tensor):
        if exceeds_f16(values, name) and dtype == np.float16:
            return False
        file.write(values.astype(dtype).tobytes())
    return True


def _interleaved_heads(name: str, geometry: Geometry) -> int:
    """How many heads' rows must be put apart; 0 for a tensor that is as it should be."""
    if not geometry.is_interleaved:
        return 0
    part = name.split(".")[2] if name.startswith("blk.") else ""
    return {"attn_q": geometry.heads, "attn_k": geometry.kv_heads}.get(part, 0)


def _halves_apart(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo llama.cpp's order: its row 2i of a head is row i of the first half, 2i + 1 of the second."""
    pairs = values.reshape(heads, -1, 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def _view(whole: NDArray[np.uint8], place: _Place) -> NDArray[Any]:
    size = int(np.prod(place.shape)) * np.dtype(place.dtype).itemsize
    return whole[place.offset : place.offset + size].view(place.dtype).reshape(place.shape)

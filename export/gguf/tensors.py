"""Unpacks the tensors of a GGUF model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ConversionError
from export.gguf.format import Tensor

CHUNK_ELEMENTS = 1 << 22
F16_MAX = 65504.0


def unpack(tensor: Tensor) -> NDArray[np.float32]:
    """All values of a small tensor, f32 of its shape."""
    return np.concatenate([rows for _, rows in chunks(tensor)]).reshape(tensor.shape)


def chunks(tensor: Tensor) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The values in f32, some rows of the outer dimensions at a time, with their place among all rows."""
    import gguf

    kind = gguf.GGMLQuantizationType[tensor.kind.name]
    packed = _rows(tensor)
    step = max(1, CHUNK_ELEMENTS // tensor.shape[-1])
    for start in range(0, len(packed), step):
        part = packed[start : start + step]
        with np.errstate(all="ignore"):  # damaged values are found by what becomes of them
            values = gguf.quants.dequantize(part, kind)
        yield slice(start, start + len(part)), values.astype(np.float32, copy=False)


def exceeds_f16(values: NDArray[np.float32], name: str) -> bool:
    """Whether `values` don't fit f16.

    Raises:
        ConversionError: when they are not numbers.
    """
    largest = float(np.max(np.abs(values), initial=0.0))
    if not np.isfinite(largest):
        raise ConversionError(f"tensor {name} holds values that are no numbers: download the file again")
    return largest > F16_MAX


def _rows(tensor: Tensor) -> NDArray[Any]:
    """What each row holds, packed: `uint8 [rows, bytes of a row]`, or plain numbers; mapped, not read."""
    plain = {"F32": np.float32, "F16": np.float16}.get(tensor.kind.name)
    row_bytes = tensor.shape[-1] // tensor.kind.block_elements * tensor.kind.block_bytes
    shape = (tensor.elements // tensor.shape[-1], row_bytes)
    data: NDArray[Any] = np.memmap(tensor.path, np.uint8, "r", tensor.offset, shape)
    return data if plain is None else data.view(plain)

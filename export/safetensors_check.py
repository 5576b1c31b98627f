"""Checks that safetensors files are whole, by their heads alone.

Format: https://huggingface.co/docs/safetensors: eight bytes of the head's length, the head as JSON, the
tensors. The libraries that load it say of a damaged file little that a person could act on.
"""

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from export.errors import ConversionError

MAX_HEAD_BYTES = 100_000_000  # the format's own limit
LENGTH = struct.Struct("<Q")
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8}
BITS |= {"F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32}
BITS |= {"U64": 64, "I64": 64, "F64": 64, "C64": 64}


def check_safetensors(files: Iterable[Path]) -> None:
    """Read each file's head and compare it with the file's size.

    Raises:
        ConversionError: naming the first that is cut off or whose head can't be right.
    """
    for path in files:
        fault = _fault(path)
        if fault is not None:
            raise ConversionError(f"{path} is damaged ({fault}): download it again")


def _fault(path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(LENGTH.size)
        if len(start) < LENGTH.size:
            return "it ends within its head"
        (length,) = LENGTH.unpack(start)
        if length > min(MAX_HEAD_BYTES, size - LENGTH.size):
            return f"a head of {length} bytes does not fit into {size} bytes"
        try:
            tensors = json.loads(file.read(length))
        except ValueError:
            return "its head is not JSON"
    if not isinstance(tensors, dict):
        return "its head is not a JSON object"
    tensors.pop("__metadata__", None)
    return _fault_of_tensors(tensors, size - LENGTH.size - length)


def _fault_of_tensors(tensors: dict[str, Any], room: int) -> str | None:
    """What is wrong with the places that the head gives its tensors in `room` bytes."""
    end = 0
    try:
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
            begin, after = tensor["data_offsets"]
            bits = math.prod(tensor["shape"]) * BITS.get(tensor["dtype"], 0)
            if begin != end or after < begin:
                return f"{name} does not begin where the tensor before it ends"
            if bits and (after - begin) * 8 != bits:
                return f"{name} has {after - begin} bytes, which its shape does not fill"
            end = after
    except (KeyError, TypeError, ValueError):
        return "its head describes no tensors"
    return None if end == room else f"{end} bytes of tensors are announced and {room} are there"

"""Computes what the constant part of an OpenVINO graph comes to: compressed weights with their unpacking."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino

ARITHMETIC: dict[str, Callable[..., Any]] = {"Subtract": np.subtract, "Multiply": np.multiply, "Add": np.add}


def constant_values(node: "openvino.Node") -> NDArray[Any]:
    """What constants and the unpacking (convert, subtract, multiply, reshape) that ends at `node` come to."""
    kind = node.get_type_name()
    if kind == "Constant":
        return _constant(node)
    if kind == "Convert":
        return constant_values(node.input_value(0).get_node()).astype(np.float32)
    if kind == "Reshape":
        values = constant_values(node.input_value(0).get_node())
        return values.reshape(tuple(node.get_output_shape(0)))
    left, right = (constant_values(value.get_node()) for value in node.input_values())
    return np.asarray(ARITHMETIC[kind](left, right, dtype=np.float32))


def unpack_nibbles(packed: NDArray[np.uint8], shape: tuple[int, ...], *, signed: bool) -> NDArray[np.int8]:
    """Unpack 4-bit values, two a byte, low half first (OpenVINO's order), into int8 of `shape`."""
    flat = np.empty(packed.size * 2, dtype=np.int8)
    raw = packed.reshape(-1)
    flat[0::2] = raw & 0x0F
    flat[1::2] = raw >> 4
    if signed:
        flat = ((flat ^ 8) - 8).astype(np.int8)
    count = int(np.prod(shape))
    return flat[:count].reshape(shape)


def _constant(node: "openvino.Node") -> NDArray[Any]:
    kind = node.get_element_type().get_type_name()
    if kind in ("u4", "i4"):
        return unpack_nibbles(node.data, tuple(node.get_output_shape(0)), signed=kind == "i4")
    if kind == "bf16":  # NumPy has none: OpenVINO hands the bits out as another type
        return np.asarray((node.data.view(np.uint16).astype(np.uint32) << 16).view(np.float32))
    return np.asarray(node.data)

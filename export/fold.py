"""Turns low-bit weights inside an OpenVINO model back into plain f16 constants."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino

LOW_BIT = ("u4", "i4", "u8", "i8")
ARITHMETIC: dict[str, Callable[..., Any]] = {"Subtract": np.subtract, "Multiply": np.multiply, "Add": np.add}
FOLDABLE = {"Convert", "Reshape", *ARITHMETIC}


def fold_low_bit_weights(model: "openvino.Model", advance: Callable[[float], None]) -> int:
    """Replace each decompression (convert, subtract, multiply, reshape) in `model` by an f16 constant.

    NNCF compresses only weights that it finds as floating-point constants. One weight at a time is
    held in f32; the model grows to two bytes a weight. Returns how many were folded.
    """
    roots = _decompressions(model)
    for done, (root, users) in enumerate(roots, start=1):
        _replace(root, users)
        advance(done / len(roots))
    return len(roots)


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


def _decompressions(model: "openvino.Model") -> list[tuple["openvino.Node", list["openvino.Input"]]]:
    """The outputs at which constant low-bit arithmetic ends, each with the inputs that read it."""
    constant: dict[str, bool] = {}  # name -> whether low-bit values flow through it
    found = []
    for node in model.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        if kind == "Constant":
            constant[name] = node.get_element_type().get_type_name() in LOW_BIT
            continue
        sources = [value.get_node() for value in node.input_values()]
        parents = [constant.get(source.get_friendly_name()) for source in sources]
        if kind in FOLDABLE and None not in parents:
            constant[name] = any(parents)
            continue
        found += [
            source for source, low in zip(sources, parents, strict=True) if low and _is_foldable(source)
        ]
    unique = {node.get_friendly_name(): node for node in found}
    return [(node, list(node.output(0).get_target_inputs())) for node in unique.values()]


def _is_foldable(node: "openvino.Node") -> bool:
    return bool(node.get_type_name() in FOLDABLE)


def _replace(root: "openvino.Node", users: list["openvino.Input"]) -> None:
    from openvino import Type
    from openvino import opset13 as opset

    values = _evaluate(root).astype(np.float16)
    constant = opset.constant(values, dtype=Type.f16, name=f"{root.get_friendly_name()}/folded")
    replacement = constant
    if root.output(0).get_element_type() != Type.f16:
        replacement = opset.convert(constant, root.output(0).get_element_type().get_type_name())
    for user in users:
        user.replace_source_output(replacement.output(0))


def constant_values(node: "openvino.Node") -> NDArray[Any]:
    """What constants and the unpacking that ends at `node` come to."""
    return _evaluate(node)


def _evaluate(node: "openvino.Node") -> NDArray[Any]:
    kind = node.get_type_name()
    if kind == "Constant":
        return _constant(node)
    if kind == "Convert":
        return _evaluate(node.input_value(0).get_node()).astype(np.float32)
    if kind == "Reshape":
        values = _evaluate(node.input_value(0).get_node())
        return values.reshape(tuple(node.get_output_shape(0)))
    left, right = (_evaluate(value.get_node()) for value in node.input_values())
    return np.asarray(ARITHMETIC[kind](left, right, dtype=np.float32))


def _constant(node: "openvino.Node") -> NDArray[Any]:
    kind = node.get_element_type().get_type_name()
    if kind in ("u4", "i4"):
        return unpack_nibbles(node.data, tuple(node.get_output_shape(0)), signed=kind == "i4")
    return np.asarray(node.data)

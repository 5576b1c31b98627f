"""Joins the matrices that read the same input, such as those of queries, keys and values, into one.

The numbers stay the same. A decode step is many small multiplications, between which the cores wait for each
other; this leaves fewer of them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import openvino

_UNPACKING = {"Convert", "Multiply", "Subtract"}
_WHOLE = {"u8", "i8", "f16", "f32"}
_HALVES = {"u4", "i4"}  # two to a byte


def join_matrices(model: "openvino.Model") -> int:
    """Join what can be joined in `model`, whose weights are compressed; return how many matrices it took in.

    Matrices in different formats, or of a layout that is not known here, are left alone.
    """
    joined = 0
    for matrices in list(_siblings(model)):
        joined += len(matrices) if _join(matrices) else 0
    if joined:
        model.validate_nodes_and_infer_types()
    return joined


def _siblings(model: "openvino.Model") -> Iterator[list["openvino.Node"]]:
    by_input: dict[tuple[str, int], list[openvino.Node]] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul" and _is_projection(node):
            source = node.input_value(0)
            by_input.setdefault((source.get_node().get_friendly_name(), source.get_index()), []).append(node)
    return (matrices for matrices in by_input.values() if len(matrices) > 1)


def _is_projection(node: "openvino.Node") -> bool:
    attributes = node.get_attributes()
    weight = node.input_value(1).get_partial_shape()
    is_plain = attributes["transpose_b"] and not attributes["transpose_a"]
    return is_plain and weight.is_static and len(weight) == 2


def _join(matrices: Sequence["openvino.Node"]) -> bool:
    from openvino import opset13

    rows = [int(one.input_value(1).get_shape()[0]) for one in matrices]
    weight = _stacked([one.input_value(1).get_node() for one in matrices], rows)
    if weight is None:
        return False
    whole = opset13.matmul(matrices[0].input_value(0), weight, False, True)
    parts = opset13.variadic_split(whole, opset13.constant(np.array(-1)), opset13.constant(np.array(rows)))
    names = [one.get_friendly_name() for one in matrices]
    whole.set_friendly_name("+".join(names))
    for index, one in enumerate(matrices):
        for target in list(one.output(0).get_target_inputs()):
            target.replace_source_output(parts.output(index))
    return True


def _stacked(nodes: Sequence["openvino.Node"], rows: Sequence[int]) -> "openvino.Node | None":
    """One node in place of `nodes`, with their rows one below the other; None when they differ in kind."""
    kinds = {(one.get_type_name(), one.get_output_element_type(0).get_type_name()) for one in nodes}
    if len(kinds) > 1:
        return None
    kind, _ = kinds.pop()
    if kind == "Constant":
        return _stacked_constant(nodes, rows)
    if kind == "Reshape":
        return _stacked_reshape(nodes, rows)
    if kind not in _UNPACKING:
        return None
    inputs = [
        _stacked([one.input_value(index).get_node() for one in nodes], rows)
        for index in range(nodes[0].get_input_size())
    ]
    return None if None in inputs else _like(nodes[0], inputs)


def _like(node: "openvino.Node", inputs: list[Any]) -> "openvino.Node":
    from openvino import opset13

    if node.get_type_name() == "Convert":
        return opset13.convert(inputs[0], node.get_output_element_type(0).get_type_name())
    make = opset13.multiply if node.get_type_name() == "Multiply" else opset13.subtract
    return make(inputs[0], inputs[1])


def _stacked_reshape(nodes: Sequence["openvino.Node"], rows: Sequence[int]) -> "openvino.Node | None":
    from openvino import opset13

    data = _stacked([one.input_value(0).get_node() for one in nodes], rows)
    shape = [sum(rows), *nodes[0].get_output_shape(0)[1:]]
    return None if data is None else opset13.reshape(data, opset13.constant(np.array(shape)), False)


def _stacked_constant(nodes: Sequence["openvino.Node"], rows: Sequence[int]) -> "openvino.Node | None":
    import openvino

    shapes = [list(one.get_output_shape(0)) for one in nodes]
    element = nodes[0].get_output_element_type(0)
    if [shape[0] if shape else 0 for shape in shapes] != list(rows):
        return None
    if len({tuple(shape[1:]) for shape in shapes}) > 1 or any(_is_shared(one) for one in nodes):
        return None
    shape = [sum(rows), *shapes[0][1:]]
    name = element.get_type_name()
    is_aligned = name in _HALVES and all(math.prod(one) % 2 == 0 for one in shapes)
    if name not in _WHOLE and not is_aligned:
        return None
    # A tensor made of an array would only borrow the array's memory.
    tensor = openvino.Tensor(element, openvino.Shape(shape))
    np.concatenate([one.data.reshape(-1) for one in nodes], out=tensor.data.reshape(-1))
    return openvino.op.Constant(tensor)


def _is_shared(node: "openvino.Node") -> bool:
    """Whether others read this constant, too, as an embedding table may be: joining would copy it."""
    return len(node.output(0).get_target_inputs()) > 1

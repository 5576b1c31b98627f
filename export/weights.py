"""Finds the weights of an OpenVINO model, and how each of them is held."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from export.groups import Layer

if TYPE_CHECKING:
    import openvino

UNPACKING = {"Convert", "Multiply", "Subtract", "Reshape"}  # what NNCF puts between a weight and its use
TABLES = {"MatMul": 1, "Gather": 0, "Convolution": 1}  # the input that a weight comes in through


def matrix_layers(model: "openvino.Model") -> list[Layer]:
    """Every matrix that INT4 is meant for, in the order of execution.

    Not the embedding and the last layer, be they one matrix or two: NNCF keeps them in INT8.
    """
    layers, seen, last = [], _embeddings(model), None
    for node in model.get_ordered_ops():
        constant = _constant(node) if node.get_type_name() == "MatMul" else None
        if constant is None:
            continue
        last = node.get_friendly_name()
        if constant.get_friendly_name() in seen:
            continue
        seen.add(constant.get_friendly_name())
        inner = -1 if node.get_attributes()["transpose_b"] else -2
        shape = node.input(1).get_partial_shape().to_shape()
        layers.append(Layer(name=last, channel=int(shape[inner]), weights=math.prod(shape)))
    return [layer for layer in layers if layer.name != last]


def precisions(model: "openvino.Model") -> dict[str, str]:
    """The element type that each layer's weight is held in, u4 or f16 say, by the layer's name."""
    return {name: constant.get_element_type().get_type_name() for name, constant in _weights(model)}


def count_precisions(model: "openvino.Model") -> dict[str, int]:
    """How many weights are held in each element type; one that two layers share counts once."""
    constants = {constant.get_friendly_name(): constant for _, constant in _weights(model)}
    counts = Counter(constant.get_element_type().get_type_name() for constant in constants.values())
    return dict(sorted(counts.items()))


def _weights(model: "openvino.Model") -> Iterator[tuple[str, "openvino.Node"]]:
    for node in model.get_ordered_ops():
        constant = _constant(node) if node.get_type_name() in TABLES else None
        if constant is not None:
            yield node.get_friendly_name(), constant


def _embeddings(model: "openvino.Model") -> set[str]:
    tables = (_constant(node) for node in model.get_ops() if node.get_type_name() == "Gather")
    return {table.get_friendly_name() for table in tables if table is not None}


def _constant(node: "openvino.Node") -> "openvino.Node | None":
    """The matrix behind `node`'s weight input, through its unpacking; None where that is no matrix."""
    source = node.input_value(TABLES[node.get_type_name()]).get_node()
    while source.get_type_name() in UNPACKING:
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None
    wide = [side for side in source.get_output_shape(0) if side > 1]
    return source if len(wide) > 1 else None

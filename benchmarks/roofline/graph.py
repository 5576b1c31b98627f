"""Counts a decoder model's graph."""

import math
from pathlib import Path

import openvino

from benchmarks.errors import BenchmarkError
from benchmarks.roofline.cost import ModelCost

_MATRIX_RANK = 2
# Batch, heads, tokens, size of a head.
_CACHE_RANK = 4
# Both may have constants for inputs, yet are none.
_VARYING = ("Parameter", "ReadValue")


def read_cost(folder: Path) -> ModelCost:
    """Count the model of a converted folder.

    Raises:
        BenchmarkError: it holds no graph, or one that can't be counted.
    """
    path = decoder_path(folder)
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        raise BenchmarkError(f"{path} can't be read as an OpenVINO model: convert it again") from error
    return count(model)


def decoder_path(folder: Path) -> Path:
    """The graph that gives logits: in a vision model's folder it is one among others."""
    of_vision = folder / "openvino_language_model.xml"
    return of_vision if of_vision.exists() else folder / "openvino_model.xml"


def count(model: "openvino.Model") -> ModelCost:
    """Count a graph whose first output is the logits.

    Raises:
        BenchmarkError: its matrices are of a kind that can't be counted, or it has none.
    """
    ops = model.get_ordered_ops()
    constants = _constants(ops)
    whole = _read_whole(ops, constants)
    matrices = {op.get_name(): place for op in ops if (place := _weights(op, constants)) is not None}
    lm_head = _lm_head(model)
    if lm_head.get_name() not in matrices:
        raise BenchmarkError("this graph's logits don't come from a matrix of constants: it can't be counted")
    flops = {name: 2 * _elements(place) for name, place in matrices.items()}
    lm_head_flops = flops.pop(lm_head.get_name())
    caches = [variable.info.data_shape for variable in model.get_variables()]
    caches = [shape for shape in caches if len(shape) == _CACHE_RANK]
    return ModelCost(
        weight_bytes=sum(whole.values()),
        lm_head_bytes=sum(constants[_source(matrices[lm_head.get_name()])].values()),
        embedding_row_bytes=sum(_row_bytes(op, constants, whole) for op in ops),
        layer_flops=sum(flops.values()),
        lm_head_flops=lm_head_flops,
        attention_flops=sum(_attention_flops(op) for op in ops),
        kv_elements=sum(shape[1].get_length() * shape[3].get_length() for shape in caches),
        kv_heads=sum(shape[1].get_length() for shape in caches),
    )


# Nodes by name -> the constants that their value is made of, with bytes. Those that depend on an input of
# the graph are missing.
_Constants = dict[str, dict[str, int]]


def _constants(ops: "list[openvino.Node]") -> _Constants:
    found: _Constants = {}
    for op in ops:
        sources = [_source(place) for place in op.inputs()]
        if op.get_type_name() == "Constant":
            found[op.get_name()] = {op.get_name(): op.get_byte_size()}
        elif sources and op.get_type_name() not in _VARYING and all(name in found for name in sources):
            found[op.get_name()] = {name: size for source in sources for name, size in found[source].items()}
    return found


def _read_whole(ops: "list[openvino.Node]", constants: _Constants) -> dict[str, int]:
    """Name and bytes of each constant that a step reads from end to end."""
    found: dict[str, int] = {}
    for op in ops:
        if op.get_name() in constants:
            continue
        for place in op.inputs():
            # Integers here are axes and shapes: weights have become real numbers before they are used.
            if place.get_element_type().is_real() and not _is_table(place):
                found |= constants.get(_source(place), {})
    return found


def _weights(op: "openvino.Node", constants: _Constants) -> "openvino.Input | None":
    """Where a MatMul takes its weights; None for other nodes and for a MatMul of two activations."""
    if op.get_type_name() != "MatMul" or op.get_name() in constants:
        return None
    return next((place for place in reversed(op.inputs()) if _source(place) in constants), None)


def _elements(weights: "openvino.Input") -> int:
    """How many weights each token's vector is multiplied with."""
    shape = [length for length in weights.get_shape() if length > 1]
    if len(shape) > _MATRIX_RANK:
        raise BenchmarkError("a mixture of experts uses some of its weights for a token: it can't be counted")
    return math.prod(shape)


def _lm_head(model: "openvino.Model") -> "openvino.Node":
    """The last MatMul before the logits, or where the search for it ended."""
    node = model.output(0).get_node()
    while node.inputs() and node.get_type_name() != "MatMul":
        node = node.input(0).get_source_output().get_node()
    return node


def _row_bytes(op: "openvino.Node", constants: _Constants, whole: dict[str, int]) -> int:
    """Bytes of one row of an embedding table that nothing else reads; 0 for other nodes."""
    if not op.inputs() or op.get_name() in constants or not _is_table(op.input(0)):
        return 0
    table = constants.get(_source(op.input(0)), {})
    alone = sum(size for name, size in table.items() if name not in whole)
    rows: int = op.input(0).get_shape()[0]
    return alone // rows


def _is_table(place: "openvino.Input") -> bool:
    """The matrix in which an embedding looks up rows."""
    shape = place.get_partial_shape()
    is_looked_up = place.get_node().get_type_name() == "Gather" and place.get_index() == 0
    return bool(is_looked_up and shape.is_static and len(shape) == _MATRIX_RANK)


def _attention_flops(op: "openvino.Node") -> int:
    """Of one query looking at one key, all heads; 0 for other nodes."""
    if op.get_type_name() != "ScaledDotProductAttention":
        return 0
    query, _, value = (op.input(place).get_partial_shape() for place in range(3))
    heads: int = query[1].get_length()
    sizes: int = query[3].get_length() + value[3].get_length()
    return 2 * heads * sizes


def _source(place: "openvino.Input") -> str:
    name: str = place.get_source_output().get_node().get_name()
    return name

"""Builds the smallest model that the pipeline accepts: one attention layer of zeros over any vocabulary."""

import numpy as np
import openvino
from openvino import opset6, opset13
from openvino.op.util import Variable, VariableInfo

_WIDTH = 32


def build_tiny_model(vocabulary_size: int) -> openvino.Model:
    """A stateful decoder with the usual inputs; its logits [batch, tokens, vocabulary] are all zero."""
    ids = _parameter("input_ids", [-1, -1], openvino.Type.i64)
    mask = _parameter("attention_mask", [-1, -1], openvino.Type.i64)
    positions = _parameter("position_ids", [-1, -1], openvino.Type.i64)
    beams = _parameter("beam_idx", [-1], openvino.Type.i32)
    embedding = opset13.constant(np.zeros((vocabulary_size, _WIDTH), dtype=np.float32))
    hidden = opset13.gather(embedding, ids, _integers(0))
    batch = opset13.gather(opset13.shape_of(ids), _integers([0]), _integers(0))
    keys, keep_keys = _cached(_heads(hidden), "past_key_values.0.keypresent.0.key", batch, beams)
    values, keep_values = _cached(_heads(hidden), "past_key_values.0.valuepresent.0.value", batch, beams)
    # The pipeline wants every input used: the positions count for nothing.
    nothing = opset13.multiply(_wide(positions, 3), opset13.constant(np.float32(0)))
    query = opset13.add(_heads(hidden), opset13.unsqueeze(nothing, _integers(1)))
    attended = opset13.scaled_dot_product_attention(query, keys, values, _attention_mask(mask))
    merged = opset13.reshape(_swap_heads(attended), _integers([0, 0, _WIDTH]), special_zero=True)
    logits = opset13.matmul(merged, embedding, transpose_a=False, transpose_b=True)
    logits.output(0).set_names({"logits"})
    return openvino.Model(
        [opset13.result(logits)], [keep_keys, keep_values], [ids, mask, positions, beams], "tiny"
    )


def _parameter(name: str, shape: list[int], dtype: "openvino.Type") -> "openvino.Node":
    node = opset13.parameter(shape, dtype, name=name)
    node.output(0).set_names({name})
    return node


def _integers(value: int | list[int]) -> "openvino.Node":
    return opset13.constant(np.array(value, dtype=np.int64))


def _wide(node: "openvino.Node", rank: int) -> "openvino.Node":
    return opset13.convert(opset13.unsqueeze(node, _integers(list(range(2, rank)))), "f32")


def _heads(hidden: "openvino.Node") -> "openvino.Node":
    """One head: [batch, tokens, width] to [batch, 1, tokens, width]."""
    weight = opset13.constant(np.zeros((_WIDTH, _WIDTH), dtype=np.float32))
    projected = opset13.matmul(hidden, weight, transpose_a=False, transpose_b=True)
    return _swap_heads(opset13.reshape(projected, _integers([0, 0, 1, _WIDTH]), special_zero=True))


def _swap_heads(node: "openvino.Node") -> "openvino.Node":
    return opset13.transpose(node, _integers([0, 2, 1, 3]))


def _attention_mask(mask: "openvino.Node") -> "openvino.Node":
    return opset13.convert(opset13.unsqueeze(mask, _integers([1, 2])), "f32")


def _cached(
    node: "openvino.Node", name: str, batch: "openvino.Node", beams: "openvino.Node"
) -> tuple["openvino.Node", "openvino.Node"]:
    """Append to the KV cache variable `name`; return the whole cache, and the node that keeps it."""
    info = VariableInfo()
    info.variable_id = name
    info.data_type = openvino.Type.f32
    info.data_shape = openvino.PartialShape([-1, 1, -1, _WIDTH])
    variable = Variable(info)
    shape = opset13.concat([batch, _integers([1]), _integers([0]), _integers([_WIDTH])], 0)
    empty = opset13.broadcast(opset13.constant(np.float32(0)), shape)
    past = opset13.gather(opset6.read_value(empty, variable), beams, _integers(0))
    whole = opset13.concat([past, node], 2)
    return whole, opset6.assign(whole, variable)

"""Builds the OpenVINO graph of a llama, qwen2 or qwen3 model.

It has the inputs, state and operations that OpenVINO's own exporters give such models, so that its
passes (paged attention, fused RoPE and RMS norm, compressed weights) recognise them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.gguf.geometry import (
    EMBEDDING,
    FINAL_NORM,
    OUTPUT,
    ROPE_FACTORS,
    Geometry,
    layer_tensor,
)

if TYPE_CHECKING:
    import openvino
    from openvino import Node

Weights = Mapping[str, NDArray[Any]]
MASKED = -65504.0  # the lowest f16: minus infinity would make rows that are masked all over NaN
ACTIVATIONS_SCALE = 8.0  # what GenAI's reader sets: f16 activations on GPUs overflow without


def build_graph(geometry: Geometry, weights: Weights) -> "openvino.Model":
    """The model with logits `f32 [batch, tokens, vocabulary]`; the weights' memory is shared, not copied."""

    model = _Builder(geometry, weights).model()
    model.set_rt_info(ACTIVATIONS_SCALE, ["runtime_options", "ACTIVATIONS_SCALE_FACTOR"])
    model.validate_nodes_and_infer_types()
    return model


class _Builder:
    """Holds what all layers share."""

    def __init__(self, geometry: Geometry, weights: Weights) -> None:
        from openvino import opset13

        self._sizes, self._weights, self._op = geometry, weights, opset13
        self._sinks: list[Node] = []
        self._inputs = {
            "input_ids": self._parameter("input_ids", 2, np.int64),
            "attention_mask": self._parameter("attention_mask", 2, np.int64),
            "position_ids": self._parameter("position_ids", 2, np.int64),
            "beam_idx": self._parameter("beam_idx", 1, np.int32),
        }

    def model(self) -> "openvino.Model":
        import openvino

        op = self._op
        embedding = self._matrix(EMBEDDING)
        tokens = op.convert(self._inputs["input_ids"], "i32")
        hidden = op.gather(embedding, tokens, self._integers(0, np.int32))
        self._batch = self._axis_size(self._inputs["input_ids"], 0)
        self._mask = self._causal_mask()
        self._cos, self._sin = self._rotations()
        for layer in range(self._sizes.layers):
            hidden = self._layer(layer, hidden)
        hidden = self._norm(hidden, FINAL_NORM)
        head = self._matrix(OUTPUT) if OUTPUT in self._weights else embedding
        logits = self._biased(op.matmul(hidden, head, False, True), "output.bias")
        result = op.result(logits)
        result.output(0).get_tensor().set_names({"logits"})
        result.set_friendly_name("logits")
        return openvino.Model([result], self._sinks, list(self._inputs.values()))

    def _layer(self, layer: int, hidden: "Node") -> "Node":
        op = self._op
        attended = self._attention(layer, self._norm(hidden, layer_tensor(layer, "attn_norm.weight")))
        hidden = op.add(hidden, attended)
        normed = self._norm(hidden, layer_tensor(layer, "ffn_norm.weight"))
        gate = op.swish(self._linear(normed, layer_tensor(layer, "ffn_gate")))
        gated = op.multiply(gate, self._linear(normed, layer_tensor(layer, "ffn_up")))
        return op.add(hidden, self._linear(gated, layer_tensor(layer, "ffn_down")))

    def _attention(self, layer: int, normed: "Node") -> "Node":
        op, sizes = self._op, self._sizes
        query = self._heads(layer, "attn_q", normed, sizes.heads)
        key = self._heads(layer, "attn_k", normed, sizes.kv_heads)
        value = self._heads(layer, "attn_v", normed, sizes.kv_heads)
        key = self._cached(f"past_key_values.{layer}.keypresent.{layer}.key", self._rotated(key))
        value = self._cached(f"past_key_values.{layer}.valuepresent.{layer}.value", value)
        attended = op.scaled_dot_product_attention(
            self._rotated(query), self._repeated(key), self._repeated(value), self._mask
        )
        joined = op.reshape(
            op.transpose(attended, self._integers([0, 2, 1, 3])),
            self._integers([0, 0, sizes.heads * sizes.head_size]),
            special_zero=True,
        )
        return self._linear(joined, layer_tensor(layer, "attn_output"))

    def _heads(self, layer: int, part: str, normed: "Node", heads: int) -> "Node":
        """The projection as `[batch, heads, tokens, head size]`, normed where the model has a norm for it."""
        op = self._op
        projected = self._linear(normed, layer_tensor(layer, part))
        apart = op.reshape(projected, self._integers([0, 0, heads, self._sizes.head_size]), special_zero=True)
        norm = layer_tensor(layer, f"{part}_norm.weight")
        if norm in self._weights:
            apart = self._norm(apart, norm)
        return op.transpose(apart, self._integers([0, 2, 1, 3]))

    def _rotated(self, heads: "Node") -> "Node":
        op, half = self._op, self._sizes.head_size // 2
        step, axis = self._integers([1]), self._integers([3])
        first = op.slice(heads, self._integers([0]), self._integers([half]), step, axis)
        second = op.slice(heads, self._integers([half]), self._integers([2 * half]), step, axis)
        minus = op.multiply(second, self._floats([[[[-1.0]]]]))
        turned = op.multiply(op.concat([minus, first], -1), self._sin)
        return op.add(op.multiply(heads, self._cos), turned)

    def _cached(self, name: str, new: "Node") -> "Node":
        """`new` behind what the state `name` holds; the state takes both."""
        from openvino import PartialShape, Type

        op, sizes = self._op, self._sizes
        shape = [self._batch, *(self._integers([size]) for size in (sizes.kv_heads, 0, sizes.head_size))]
        empty = op.broadcast(self._floats(0.0), op.concat(shape, 0))
        past = op.read_value(empty, name, Type.f32, PartialShape([-1, sizes.kv_heads, -1, sizes.head_size]))
        past = op.gather(past, self._inputs["beam_idx"], self._integers(0))
        whole = op.concat([past, new], 2)
        self._sinks.append(op.assign(whole, name))
        return whole

    def _repeated(self, heads: "Node") -> "Node":
        """Each key or value head once for every query head that reads it."""
        op, sizes = self._op, self._sizes
        if sizes.heads == sizes.kv_heads:
            return heads
        target = self._integers([1, 1, sizes.heads // sizes.kv_heads, 1, 1])
        wide = op.broadcast(op.unsqueeze(heads, self._integers(2)), target, broadcast_spec="BIDIRECTIONAL")
        return op.reshape(wide, self._integers([0, sizes.heads, -1, sizes.head_size]), special_zero=True)

    def _rotations(self) -> tuple["Node", "Node"]:
        """Cosine and sine of each position's angles, `[batch, 1, tokens, head size]`."""
        op = self._op
        frequencies = self._floats(self._frequencies().reshape(1, -1, 1))
        positions = op.convert(op.unsqueeze(self._inputs["position_ids"], self._integers(1)), "f32")
        target = op.concat([self._batch, self._integers([1]), self._integers([1])], 0)
        expanded = op.broadcast(frequencies, target, broadcast_spec="BIDIRECTIONAL")
        angles = op.transpose(op.matmul(expanded, positions, False, False), self._integers([0, 2, 1]))
        both = op.concat([angles, angles], -1)
        heads = self._integers(1)
        return op.unsqueeze(op.cos(both), heads), op.unsqueeze(op.sin(both), heads)

    def _frequencies(self) -> NDArray[np.float32]:
        """RoPE's, over what the model scales them by: one number, or llama 3's factor for each."""
        size = self._sizes.head_size
        exponents = np.arange(0, size, 2, dtype=np.int64).astype(np.float32) / np.float32(size)
        frequencies = np.float32(1) / np.power(np.float32(self._sizes.rope_base), exponents)
        factors = self._weights.get(ROPE_FACTORS, np.float32(1)) * np.float32(self._sizes.rope_divisor)
        return np.asarray(frequencies / factors, dtype=np.float32)

    def _causal_mask(self) -> "Node":
        """What is added to attention scores, `[batch, 1, tokens, all tokens]`: 0, or a low number."""
        op = self._op
        mask = self._inputs["attention_mask"]
        total, new = self._axis_size(mask, 1), self._axis_size(self._inputs["input_ids"], 1)
        scalar, one = self._integers([], np.int64), self._integers(1)
        total, new = (op.reshape(size, scalar, special_zero=False) for size in (total, new))
        keys = op.range(self._integers(0), total, one, "i64")
        queries = op.unsqueeze(op.range(op.subtract(total, new), total, one, "i64"), self._integers(1))
        is_past = op.less_equal(keys, queries)
        is_text = op.not_equal(op.unsqueeze(mask, self._integers([1, 2])), self._integers(0))
        return op.select(op.logical_and(is_past, is_text), self._floats(0.0), self._floats(MASKED))

    def _norm(self, values: "Node", name: str) -> "Node":
        op = self._op
        ones = [1] * len(values.get_output_partial_shape(0))
        squares = op.power(values, self._floats(np.full(ones, 2.0)))
        mean = op.reduce_mean(squares, self._integers([-1], np.int32), keep_dims=True)
        root = op.sqrt(op.add(mean, self._floats(np.full(ones, self._sizes.norm_epsilon))))
        scaled = op.multiply(op.divide(self._floats(np.full(ones, 1.0)), root), values)
        weight = np.asarray(self._weights[name])
        return op.multiply(scaled, self._floats(weight.reshape(*ones[:-1], -1)))

    def _linear(self, values: "Node", name: str) -> "Node":
        product = self._op.matmul(values, self._matrix(f"{name}.weight"), False, True)
        return self._biased(product, f"{name}.bias")

    def _biased(self, values: "Node", name: str) -> "Node":
        if name not in self._weights:
            return values
        return self._op.add(values, self._floats(np.asarray(self._weights[name])))

    def _matrix(self, name: str) -> "Node":
        from openvino.op import Constant

        constant = Constant(self._weights[name], shared_memory=True)
        constant.set_friendly_name(name)
        if self._weights[name].dtype == np.float32:
            return constant
        return self._op.convert(constant, "f32")

    def _axis_size(self, values: "Node", axis: int) -> "Node":
        """The size of one axis, `i64 [1]`."""
        return self._op.gather(self._op.shape_of(values), self._integers([axis]), self._integers(0))

    def _parameter(self, name: str, rank: int, dtype: type[np.integer[Any]]) -> "Node":
        parameter = self._op.parameter([-1] * rank, dtype)
        parameter.set_friendly_name(name)
        parameter.output(0).get_tensor().set_names({name})
        return parameter

    def _integers(self, values: Any, dtype: type[np.integer[Any]] = np.int64) -> "Node":  # noqa: ANN401
        return self._op.constant(np.array(values, dtype))

    def _floats(self, values: Any) -> "Node":  # noqa: ANN401
        return self._op.constant(np.array(values, np.float32))

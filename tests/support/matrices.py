"""A tiny OpenVINO language model: an embedding, matrices of given channels, a last layer."""

from collections.abc import Sequence

import numpy as np
import openvino
from openvino import opset13 as opset

VOCABULARY = 64


def matrix_model(channels: Sequence[int], seed: int = 0) -> openvino.Model:
    """From input_ids [1, tokens] to logits [1, tokens, 64]; an f16 matrix of each of `channels` between."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> openvino.Node:
        values = random.normal(0, 0.1, shape).astype(np.float16)
        return opset.convert(opset.constant(values), "f32")

    ids = opset.parameter([1, -1], dtype=np.int64, name="input_ids")
    hidden = opset.gather(weight(VOCABULARY, channels[0]), ids, opset.constant(0))
    for inputs, outputs in zip(channels, [*channels[1:], channels[-1]], strict=True):
        hidden = opset.tanh(opset.matmul(hidden, weight(outputs, inputs), False, True))
    logits = opset.matmul(hidden, weight(VOCABULARY, channels[-1]), False, True)
    ids.output(0).set_names({"input_ids"})
    logits.output(0).set_names({"logits"})
    return openvino.Model([logits], [ids])


def logits(model: openvino.Model, tokens: int = 32) -> np.ndarray:
    """What the model says of its first tokens: f32 [tokens, 64]."""
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids = np.arange(tokens, dtype=np.int64)[None]
    return np.array(compiled(ids)[0][0], dtype=np.float32)

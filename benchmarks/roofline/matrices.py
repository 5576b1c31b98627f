"""Measures how fast OpenVINO multiplies matrices on this machine."""

from collections.abc import Mapping

import numpy as np
import openvino
from openvino import opset13

from benchmarks.roofline.bandwidth import best_time_s

# Square matrices of this side: enough work for every core, and as 32-bit floats about a large cache's size.
_SIDE = 2048
_TOKENS = 512
_TIME_LIMIT_S = 0.4
_WEIGHT_BYTES = 256 << 20
_PROPERTIES = {
    "f32": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    # Activations become INT8 while it runs. Of groups of 32 to 2048, these were the fastest.
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "128"},
}


def matrix_flops_per_s(kind: str) -> float:
    """FLOP/s of many tokens times a square matrix; `kind` is f32, bf16 or int8 (with INT8 weights)."""
    return _flops_per_s(_PROPERTIES[kind], is_compressed=kind == "int8")


def engine_flops_per_s(properties: Mapping[str, str]) -> float:
    """The same for INT8 weights with the engine's own properties."""
    return _flops_per_s(properties, is_compressed=True)


class WeightReader:
    """Holds a large matrix of INT8 weights, to multiply single tokens with it as the engine does."""

    def __init__(self, properties: Mapping[str, str], weight_bytes: int = _WEIGHT_BYTES) -> None:
        self._weight_bytes = weight_bytes // _SIDE * _SIDE
        model = _matrix(weight_bytes // _SIDE, _SIDE, is_compressed=True)
        self._request = _request(model, 1, properties)

    def bytes_per_s(self) -> float:
        """How fast OpenVINO goes through the weights, the best of several passes."""
        return self._weight_bytes / best_time_s(self._request.infer, time_limit_s=_TIME_LIMIT_S)


def _flops_per_s(properties: Mapping[str, str], *, is_compressed: bool) -> float:
    request = _request(_matrix(_SIDE, _SIDE, is_compressed=is_compressed), _TOKENS, properties)
    return 2 * _TOKENS * _SIDE * _SIDE / best_time_s(request.infer, time_limit_s=_TIME_LIMIT_S)


def _request(model: "openvino.Model", tokens: int, properties: Mapping[str, str]) -> "openvino.InferRequest":
    request = openvino.Core().compile_model(model, "CPU", dict(properties)).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.random.default_rng(2).random((tokens, _SIDE), np.float32)))
    return request


def _matrix(outputs: int, inputs: int, *, is_compressed: bool) -> "openvino.Model":
    """One layer; compressed as NNCF's INT8_ASYM: a scale and a zero point for each output."""
    vectors = opset13.parameter([-1, inputs], np.float32)
    draw = np.random.default_rng(1)
    if not is_compressed:
        matrix = opset13.constant(draw.random((outputs, inputs), np.float32))
    else:
        weights = opset13.convert(
            opset13.constant(draw.integers(0, 256, (outputs, inputs), np.uint8)), np.float16
        )
        zero_points = opset13.convert(opset13.constant(np.full((outputs, 1), 128, np.uint8)), np.float16)
        scales = opset13.constant(np.full((outputs, 1), 0.01, np.float16))
        matrix = opset13.convert(opset13.multiply(opset13.subtract(weights, zero_points), scales), np.float32)
    return openvino.Model([opset13.matmul(vectors, matrix, False, True)], [vectors])

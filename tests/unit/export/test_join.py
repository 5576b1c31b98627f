"""Matrices that read the same input become one, and no number changes."""

import nncf
import numpy as np
import openvino
import pytest
from openvino import opset13

from export.join import join_matrices

ROWS = (64, 32, 32)
CHANNELS = 64


def _model(*, mode: nncf.CompressWeightsMode | None, rows: tuple[int, ...] = ROWS) -> openvino.Model:
    """Projections of one input, each with a weight of its own, then a last matrix that NNCF treats apart."""
    draw = np.random.default_rng(1)
    tokens = opset13.parameter([-1, CHANNELS], np.float32, name="tokens")
    parts = []
    for count in rows:
        weight = opset13.constant(draw.normal(size=(count, CHANNELS)).astype(np.float16))
        parts.append(opset13.matmul(tokens, opset13.convert(weight, "f32"), False, True))
    whole = opset13.concat(parts, 1)
    head = opset13.constant(draw.normal(size=(16, sum(rows))).astype(np.float16))
    last = opset13.matmul(whole, opset13.convert(head, "f32"), False, True)
    model = openvino.Model([opset13.result(whole), opset13.result(last)], [tokens])
    options = {"group_size": 32} if mode in (nncf.CompressWeightsMode.INT4_ASYM,) else {}
    return model if mode is None else nncf.compress_weights(model, mode=mode, **options)


def _run(model: openvino.Model) -> list[np.ndarray]:
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    compiled = openvino.Core().compile_model(model, "CPU", exact)
    tokens = np.random.default_rng(2).normal(size=(5, CHANNELS)).astype(np.float32)
    return [array.copy() for array in compiled([tokens]).values()]


def _matrices(model: openvino.Model) -> int:
    return sum(node.get_type_name() == "MatMul" for node in model.get_ops())


@pytest.mark.parametrize(
    "mode",
    [
        nncf.CompressWeightsMode.INT8_ASYM,
        nncf.CompressWeightsMode.INT8_SYM,
        nncf.CompressWeightsMode.INT4_ASYM,
        None,
    ],
    ids=["int8", "int8-sym", "int4", "f16"],
)
def test_joined_matrices_give_the_same_numbers(mode: nncf.CompressWeightsMode | None) -> None:
    model = _model(mode=mode)
    before = _run(model)
    assert join_matrices(model) == len(ROWS)
    assert _matrices(model) == 2
    for one, other in zip(before, _run(model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_matrix_alone_is_left_alone() -> None:
    model = _model(mode=nncf.CompressWeightsMode.INT8_ASYM, rows=(64,))
    assert join_matrices(model) == 0
    assert _matrices(model) == 2


def test_matrices_in_different_formats_are_left_alone() -> None:
    tokens = opset13.parameter([-1, CHANNELS], np.float32)
    weights = [np.ones((8, CHANNELS), dtype) for dtype in (np.float16, np.int8)]
    parts = [
        opset13.matmul(tokens, opset13.convert(opset13.constant(weight), "f32"), False, True)
        for weight in weights
    ]
    model = openvino.Model([opset13.result(part) for part in parts], [tokens])
    assert join_matrices(model) == 0


def test_a_matrix_that_others_read_too_is_left_alone() -> None:
    tokens = opset13.parameter([-1, CHANNELS], np.float32)
    table = opset13.constant(np.ones((8, CHANNELS), np.float32))
    other = opset13.constant(np.ones((8, CHANNELS), np.float32))
    row = opset13.gather(table, opset13.constant(np.array(0)), opset13.constant(np.array(0)))
    parts = [opset13.matmul(tokens, weight, False, True) for weight in (table, other)]
    model = openvino.Model([opset13.result(one) for one in (*parts, row)], [tokens])
    assert join_matrices(model) == 0

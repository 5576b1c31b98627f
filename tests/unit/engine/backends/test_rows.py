"""Rows that are told to be alike are, on whatever CPU this runs."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13

from service.engine.backends.rows import Rows, alike_rows

PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
COLUMNS, OUTPUTS, MOST = 96, 64, 130


def int8_model() -> "openvino.Model":
    """One matrix as a conversion to INT8 leaves it: unsigned, a zero point and a scale for each output."""
    draw = np.random.default_rng(1)
    rows = opset13.parameter([-1, COLUMNS], np.float32)
    weights = opset13.convert(draw.integers(0, 256, (OUTPUTS, COLUMNS), dtype=np.uint8), "f16")
    zero = opset13.convert(draw.integers(100, 150, (OUTPUTS, 1), dtype=np.uint8), "f16")
    scale = draw.random((OUTPUTS, 1)).astype(np.float16)
    matrix = opset13.convert(opset13.multiply(opset13.subtract(weights, zero), scale), "f32")
    return openvino.Model([opset13.matmul(rows, matrix, False, True)], [rows])


def saved(model: "openvino.Model", folder: Path) -> Path:
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def test_the_parts_follow_each_other_and_within_one_a_row_has_the_same_bits(tmp_path: Path) -> None:
    model = int8_model()
    parts = list(alike_rows(saved(model, tmp_path), PROPERTIES, most=MOST))
    assert parts[0].least == 2
    assert parts[-1].most == MOST
    assert all(one.most + 1 == other.least for one, other in pairwise(parts))

    request = openvino.compile_model(model, "CPU", PROPERTIES).create_infer_request()
    some = np.random.default_rng(2).standard_normal((MOST, COLUMNS), dtype=np.float32)

    def first_row(rows: int) -> bytes:
        product: np.ndarray = request.infer({0: some[:rows]})[0]
        return product[0].tobytes()

    for part in parts:
        assert {first_row(rows) for rows in range(part.least, part.most + 1)} == {first_row(part.least)}


def test_a_graph_without_matrices_has_all_its_rows_alike(tmp_path: Path) -> None:
    rows = opset13.parameter([-1, 4], np.float32)
    graph = saved(openvino.Model([opset13.relu(rows)], [rows]), tmp_path)
    assert list(alike_rows(graph, PROPERTIES, most=9)) == [Rows(2, 9)]


def test_a_product_of_two_inputs_is_no_matrix_of_the_model(tmp_path: Path) -> None:
    one, other = (opset13.parameter([-1, -1], np.float32) for _ in range(2))
    graph = saved(openvino.Model([opset13.matmul(one, other, False, True)], [one, other]), tmp_path)
    assert list(alike_rows(graph, PROPERTIES, most=9)) == [Rows(2, 9)]


def test_what_is_no_graph_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("no graph", encoding="utf-8")
    with pytest.raises(RuntimeError):
        list(alike_rows(tmp_path / "model.xml", PROPERTIES, most=9))

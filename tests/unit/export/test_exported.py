from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as opset

from export.errors import ConversionError
from export.exported import refuse_compressed


def save(folder: Path, weights: openvino.Node) -> None:
    given = opset.parameter([1, 16], np.float32)
    product = opset.matmul(given, opset.convert(weights, "f32"), transpose_a=False, transpose_b=True)
    openvino.save_model(openvino.Model([product], [given]), folder / "openvino_model.xml")


def test_sixteen_bit_weights_are_taken(tmp_path: Path) -> None:
    save(tmp_path, opset.constant(np.ones((4, 16), np.float16)))
    refuse_compressed(tmp_path)


def test_weights_that_are_compressed_already_are_refused(tmp_path: Path) -> None:
    save(tmp_path, opset.constant(np.ones((4, 16), np.uint8)))
    with pytest.raises(
        ConversionError, match=r"openvino_model\.xml holds u8 weights: .* --weight-format fp16"
    ):
        refuse_compressed(tmp_path)

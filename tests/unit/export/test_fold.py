import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13 as opset

from export.fold import fold_low_bit_weights, unpack_nibbles


@given(st.lists(st.integers(0, 15), min_size=1, max_size=64))
def test_unsigned_nibbles_come_back_as_packed(values: list[int]) -> None:
    padded = [*values, 0] if len(values) % 2 else values
    packed = np.array(
        [low | high << 4 for low, high in zip(padded[::2], padded[1::2], strict=True)], dtype=np.uint8
    )
    assert unpack_nibbles(packed, (len(values),), signed=False).tolist() == values


def test_signed_nibbles_run_from_minus_eight_to_seven() -> None:
    packed = np.array([0x87, 0xF0], dtype=np.uint8)
    assert unpack_nibbles(packed, (2, 2), signed=True).tolist() == [[7, -8], [0, -1]]


def low_bit_model(kind: openvino.Type) -> tuple[openvino.Model, np.ndarray]:
    """x [?, 64] times a weight [8, 64] in groups of 32, stored as GenAI's GGUF reader does."""
    random = np.random.default_rng(7)
    top = 16 if kind == openvino.Type.u4 else 256
    stored = random.integers(0, top, (8, 2, 32), dtype=np.uint8)
    zero = random.integers(0, top, (8, 2, 1), dtype=np.uint8)
    scale = random.uniform(0.01, 0.1, (8, 2, 1)).astype(np.float16)
    f16 = [opset.convert(opset.constant(part, dtype=kind), "f16") for part in (stored, zero)]
    product = opset.multiply(opset.subtract(*f16), opset.constant(scale))
    weight = opset.convert(opset.reshape(product, opset.constant([8, 64]), special_zero=False), "f32")
    inputs = opset.parameter([-1, 64], dtype=np.float32)
    model = openvino.Model([opset.matmul(inputs, weight, False, True)], [inputs])
    expected = (stored.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
    return model, expected.reshape(8, 64)


@pytest.mark.parametrize("kind", [openvino.Type.u4, openvino.Type.u8])
def test_folding_leaves_one_f16_constant_with_the_same_values(kind: openvino.Type) -> None:
    model, expected = low_bit_model(kind)
    parts: list[float] = []
    assert fold_low_bit_weights(model, parts.append) == 1
    (constant,) = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    assert constant.get_element_type() == openvino.Type.f16
    np.testing.assert_array_equal(constant.data, expected.astype(np.float16))
    assert parts == [1.0]


def test_a_model_without_low_bit_weights_stays_as_it_is() -> None:
    inputs = opset.parameter([-1, 4], dtype=np.float32)
    weight = opset.convert(opset.constant(np.ones((4, 4), np.float16)), "f32")
    model = openvino.Model([opset.matmul(inputs, weight, False, True)], [inputs])
    assert fold_low_bit_weights(model, lambda _part: None) == 0

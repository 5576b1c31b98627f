import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvino import opset13 as opset

from export.quality.constants import constant_values, unpack_nibbles


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


def test_bfloat16_is_read_as_what_it_is() -> None:
    values = np.array([1, 2.5, 3, -4], dtype=np.float32)
    constant = opset.constant(values, dtype=openvino.Type.bf16)
    np.testing.assert_array_equal(constant_values(constant), values)


@pytest.mark.parametrize("kind", [openvino.Type.u4, openvino.Type.u8])
def test_a_compressed_weight_comes_to_what_the_engine_computes_with(kind: openvino.Type) -> None:
    random = np.random.default_rng(7)
    top = 16 if kind == openvino.Type.u4 else 256
    stored = random.integers(0, top, (8, 2, 32), dtype=np.uint8)
    zero = random.integers(0, top, (8, 2, 1), dtype=np.uint8)
    scale = random.uniform(0.01, 0.1, (8, 2, 1)).astype(np.float32)
    parts = [opset.convert(opset.constant(part, dtype=kind), "f32") for part in (stored, zero)]
    product = opset.multiply(opset.subtract(*parts), opset.constant(scale))
    weight = opset.reshape(product, opset.constant([8, 64]), special_zero=False)
    model = openvino.Model([weight], [])
    (computed,) = openvino.Core().compile_model(model, "CPU")([]).values()
    np.testing.assert_allclose(constant_values(weight), computed, rtol=1e-6)

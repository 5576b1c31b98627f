"""Real compression of tiny models."""

from pathlib import Path

import numpy as np
import openvino
import pytest

from export.calibration import MIN_TOKENS, WINDOW_TOKENS, read_windows
from export.errors import ConversionError
from export.quantise import compress
from export.recipe import BUNDLED_CALIBRATION, Recipe
from export.recipes import choose_recipe
from export.weights import precisions
from service.manifest import WeightFormat
from tests.support.matrices import VOCABULARY, logits, matrix_model

EVEN = (128, 256)
ODD = (128, 2048, 100, 2048)  # nothing divides 100


def characters(text: str) -> list[int]:
    return [ord(character) % VOCABULARY for character in text]


def changed(channels: tuple[int, ...], recipe: Recipe) -> float:
    """How far the compressed model's answers are from the original's, relative to their size."""
    before = logits(matrix_model(channels))
    model, _ = compress(matrix_model(channels), recipe, characters)
    return float(np.abs(logits(model) - before).mean() / np.abs(before).mean())


@pytest.mark.parametrize(
    ("weights", "layers"),
    [
        ("int8", {"u8": 4}),
        ("int8-sym", {"i8": 4}),
        ("int4", {"u4": 2, "u8": 2}),
        ("fp16", {"f16": 4}),
        ("bf16", {"bf16": 4}),
    ],
)
def test_each_format_holds_the_weights_as_it_says(weights: WeightFormat, layers: dict[str, int]) -> None:
    _, compression = compress(matrix_model(EVEN), choose_recipe(device="CPU", weights=weights))
    assert compression.precisions == layers
    assert compression.group_size == (128 if weights == "int4" else None)


@pytest.mark.parametrize(
    ("weights", "most"), [("int8", 0.02), ("int8-sym", 0.02), ("int4", 0.3), ("bf16", 0.02), ("fp16", 0)]
)
def test_each_format_answers_almost_as_before(weights: WeightFormat, most: float) -> None:
    assert changed(EVEN, choose_recipe(device="CPU", weights=weights)) <= most


def test_a_layer_that_no_group_size_divides_is_in_int8_and_is_named() -> None:
    model, compression = compress(matrix_model(ODD), choose_recipe(device="CPU", weights="int4"))
    (left,) = compression.fallback
    assert (left.channel, precisions(model)[left.name]) == (100, "u8")
    assert compression.group_size == 128
    assert compression.precisions == {"u4": 3, "u8": 3}
    record = compression.record()
    assert (record.mode, record.fallback_layers, record.layers) == (
        "int4_asym",
        [left.name],
        {"u4": 3, "u8": 3},
    )


def test_int4_can_be_symmetric_with_a_symmetric_rest() -> None:
    recipe = Recipe(device="CPU", weights="int4", mode="int4_sym", backup="int8_sym", group_size=64)
    _, compression = compress(matrix_model(EVEN), recipe)
    assert (compression.group_size, compression.precisions) == (64, {"i4": 2, "i8": 2})


def test_a_ratio_leaves_part_of_the_layers_in_int8() -> None:
    recipe = Recipe(device="CPU", weights="int4", mode="int4_asym", ratio=0.5)
    _, compression = compress(matrix_model((128,) * 8), recipe)
    assert compression.precisions["u4"] <= 4
    assert compression.precisions["u4"] + compression.precisions["u8"] == 10


def test_scale_estimation_reads_the_text_and_loses_less() -> None:
    plain = choose_recipe(device="CPU", weights="int4")
    estimated = choose_recipe(device="CPU", weights="int4", method="scale-estimation")
    assert changed(EVEN, estimated) < changed(EVEN, plain)


def test_a_model_that_reads_embeddings_can_not_be_calibrated() -> None:
    model = matrix_model(EVEN)
    model.inputs[0].set_names({"inputs_embeds"})
    recipe = choose_recipe(device="CPU", weights="int4", method="awq")
    with pytest.raises(ConversionError, match="reads embeddings, not tokens"):
        compress(model, recipe, characters)


def test_the_calibration_text_fills_windows_from_all_of_it() -> None:
    windows = read_windows(BUNDLED_CALIBRATION, characters)
    assert all(len(window) == WINDOW_TOKENS for window in windows)
    text = characters(BUNDLED_CALIBRATION.read_text(encoding="utf-8"))
    assert windows[0] == text[:WINDOW_TOKENS]
    assert windows[-1] in [text[start : start + WINDOW_TOKENS] for start in range(len(text) // 2, len(text))]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"short", f"holds 5 tokens, and {MIN_TOKENS} are the least"), (b"\xff\xfe\x00", "as UTF-8 text")],
)
def test_a_calibration_text_that_tells_nothing_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(ConversionError, match=reason):
        read_windows(tmp_path / "text", characters)


def test_bfloat16_rounds_to_nearest() -> None:
    model, _ = compress(matrix_model(EVEN), choose_recipe(device="CPU", weights="bf16"))
    original = next(node for node in matrix_model(EVEN).get_ordered_ops() if is_constant(node, "f16"))
    rounded = next(node for node in model.get_ordered_ops() if is_constant(node, "bf16"))
    bits = rounded.data.view(np.uint16).astype(np.uint32) << 16
    values = original.data.astype(np.float32)
    assert np.all(np.abs(bits.view(np.float32) - values) <= np.abs(values) * 2**-8)


def is_constant(node: openvino.Node, kind: str) -> bool:
    return node.get_type_name() == "Constant" and node.get_element_type().get_type_name() == kind

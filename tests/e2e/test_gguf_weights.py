"""Converted GGUF files compute what transformers computes from them."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from rich.console import Console

from export.errors import ConversionError
from export.gguf.file import GgufFile, read_gguf
from export.gguf.model import read_exact
from export.progress import Steps
from export.publish import MODEL_FILE
from tests.support.gguf_files import (
    FEED_FORWARD,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    TinyModel,
    write_tiny_gguf,
    write_tiny_parts,
)
from tests.support.gguf_reference import reference_logits
from tests.support.vocabularies import small

PLAIN = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
BY_256 = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
IMPORTANCE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS")
TERNARY = ("TQ1_0", "TQ2_0", "MXFP4")
KINDS = (*PLAIN, *BY_256, *IMPORTANCE, *TERNARY)
ARCHITECTURES = ("llama", "qwen2", "qwen3")
# Sums of f32 products in another order, over the largest logit.
TOLERANCE = 2e-4
STEPS = ((0, 9), (9, 15), (15, 16))  # a prompt in two parts, then one token

MODELS = {
    f"{architecture}-{kind}": TinyModel(architecture=architecture, vocabulary=small(), kind=kind)
    for architecture in ARCHITECTURES
    for kind in KINDS
} | {
    "tied": TinyModel(architecture="llama", vocabulary=small(), is_tied=True),
    "rope factors": TinyModel(
        architecture="llama",
        vocabulary=small(),
        tensors={"rope_freqs.weight": np.linspace(1, 8, 64, dtype=np.float32)},
    ),
}

needs_export = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None, reason="torch is not installed: pip install '.[export]'"
)


def exact(gguf: GgufFile, scratch: Path) -> Path:
    return read_exact(gguf, scratch, Steps(Console(quiet=True))) / MODEL_FILE


def logits(model: Path, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """In f32, through the model's state."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    parts = []
    for begin, end in STEPS:
        inputs = {
            "input_ids": ids[:, begin:end],
            "attention_mask": np.ones((len(ids), end), np.int64),
            "position_ids": np.tile(np.arange(begin, end), (len(ids), 1)),
            "beam_idx": np.arange(len(ids), dtype=np.int32),
        }
        parts.append(request.infer(inputs)["logits"].copy())
    return np.concatenate(parts, axis=1)


def ids_for(model: TinyModel) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, model.vocabulary.size, (2, STEPS[-1][1]))


@pytest.fixture(scope="module")
def differences(default_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """For each model the largest difference between our logits and transformers', over the largest logit."""
    folder = tmp_path_factory.mktemp("compared")
    paths = {name: folder / f"{name}.gguf" for name in MODELS}
    for name, model in MODELS.items():
        write_tiny_gguf(paths[name], model)
    ids = {paths[name]: ids_for(model) for name, model in MODELS.items()}
    paths["default"] = default_gguf
    ids[default_gguf] = np.random.default_rng(1).integers(0, 49152, (2, STEPS[-1][1]))
    expected = reference_logits(folder, ids)  # in one go: torch takes long to load
    found = {}
    for name, path in paths.items():
        ours = logits(exact(read_gguf(path), folder / name), ids[path])
        found[name] = float(np.abs(ours - expected[path]).max() / np.abs(expected[path]).max())
    return found


@needs_export
def test_every_file_type_of_every_architecture_gives_transformers_logits(
    differences: dict[str, float],
) -> None:
    lines = [f"{name} {difference:.1e}" for name, difference in differences.items()]
    print("\n".join(lines))  # noqa: T201 - the table, with -s
    assert {name: found for name, found in differences.items() if not found < TOLERANCE} == {}


@needs_export
@pytest.mark.parametrize("name", ["tied", "rope factors", "default"])
def test_other_models_give_transformers_logits(differences: dict[str, float], name: str) -> None:
    assert differences[name] < TOLERANCE


def tiny(architecture: str, **changes: Any) -> TinyModel:
    return TinyModel(architecture=architecture, vocabulary=small(), kind="F32", **changes)


def read(folder: Path, model: TinyModel) -> NDArray[np.float32]:
    folder.mkdir()
    write_tiny_gguf(folder / "m.gguf", model)
    return logits(exact(read_gguf(folder / "m.gguf"), folder / "read"), ids_for(model))


def test_llamas_interleaved_queries_and_keys_are_put_in_order_with_their_biases(tmp_path: Path) -> None:
    """The same model as qwen2, which is stored in order."""
    ordered, interleaved, random = {}, {}, np.random.default_rng(3)
    for layer in range(LAYERS):
        for part, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS), ("attn_v", KV_HEADS)):
            for kind, inner in (("weight", (HIDDEN,)), ("bias", ())):
                values = random.normal(0, 0.05, (heads * HIDDEN // HEADS, *inner)).astype(np.float32)
                name = f"blk.{layer}.{part}.{kind}"
                ordered[name] = interleaved[name] = values
                if part != "attn_v":
                    halves = values.reshape(heads, 2, -1, *inner)
                    interleaved[name] = halves.swapaxes(1, 2).reshape(values.shape)
    qwen2 = read(tmp_path / "qwen2", tiny("qwen2", tensors=ordered))
    llama = read(tmp_path / "llama", tiny("llama", tensors=interleaved))
    np.testing.assert_array_equal(llama, qwen2)


def test_linear_rope_scaling_divides_the_positions(tmp_path: Path) -> None:
    scaling = {"qwen2.rope.scaling.type": "linear", "qwen2.rope.scaling.factor": 4.0}
    plain, scaled = read(tmp_path / "a", tiny("qwen2")), read(tmp_path / "b", tiny("qwen2", fields=scaling))
    factors = {"rope_freqs.weight": np.full(64, 4.0, np.float32)}
    divided = read(tmp_path / "c", tiny("qwen2", tensors=factors))
    np.testing.assert_array_equal(scaled, divided)
    assert np.abs(scaled - plain).max() > 0.01


def test_values_beyond_f16_are_kept(tmp_path: Path) -> None:
    big = np.full((HIDDEN, FEED_FORWARD), 0.0, np.float32)
    big[3, 5] = 1e6
    write_tiny_gguf(tmp_path / "m.gguf", tiny("qwen2", tensors={"blk.1.ffn_down.weight": big}))
    model = openvino.Core().read_model(exact(read_gguf(tmp_path / "m.gguf"), tmp_path / "read"))
    constants = {
        node.get_friendly_name(): node for node in model.get_ops() if node.get_type_name() == "Constant"
    }
    assert constants["blk.1.ffn_down.weight"].data[3, 5] == np.float32(1e6)
    assert constants["blk.1.ffn_up.weight"].get_element_type().get_type_name() == "f16"


def test_a_model_in_parts_reads_as_the_whole(tmp_path: Path) -> None:
    model = tiny("llama")
    whole = read(tmp_path / "whole", model)
    parts = write_tiny_parts(tmp_path, "split", model, 8)
    assert len(parts) > 1
    joined = logits(exact(read_gguf(parts[0]), tmp_path / "read"), ids_for(model))
    np.testing.assert_array_equal(joined, whole)


def test_numbers_that_are_none_are_called_damage(tmp_path: Path) -> None:
    broken = np.full((HIDDEN, FEED_FORWARD), np.nan, np.float32)
    write_tiny_gguf(tmp_path / "m.gguf", tiny("llama", tensors={"blk.0.ffn_down.weight": broken}))
    with pytest.raises(ConversionError, match=r"blk\.0\.ffn_down\.weight holds values that are no numbers"):
        exact(read_gguf(tmp_path / "m.gguf"), tmp_path / "read")

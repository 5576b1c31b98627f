"""Converted GGUF files compute what transformers computes from them."""

import importlib.util
from dataclasses import replace
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
from tests.support.gguf_files import TinyModel, write_tiny_gguf, write_tiny_parts
from tests.support.gguf_reference import reference_logits
from tests.support.vocabularies import byte_level, small

PLAIN = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
BY_256 = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
IMPORTANCE = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS")
KINDS = (*PLAIN, *BY_256, *IMPORTANCE)
ARCHITECTURES = ("llama", "qwen2", "qwen3")
# Sums of f32 products in another order; logits are of size 10.
TOLERANCE = 2e-3
STEPS = ((0, 9), (9, 15), (15, 16))  # a prompt in two parts, then one token

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


def differences(folder: Path, models: dict[str, TinyModel]) -> dict[str, float]:
    """For each model the largest difference between our logits and transformers', over the largest logit."""
    paths = {name: folder / f"{name}.gguf" for name in models}
    for name, model in models.items():
        write_tiny_gguf(paths[name], model)
    expected = reference_logits(folder, {paths[name]: ids_for(model) for name, model in models.items()})
    found = {}
    for name, model in models.items():
        ours = logits(exact(read_gguf(paths[name]), folder / name), ids_for(model))
        theirs = expected[paths[name]]
        found[name] = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    return found


@needs_export
def test_every_file_type_of_every_architecture_gives_transformers_logits(tmp_path: Path) -> None:
    models = {
        f"{architecture}-{kind}": TinyModel(architecture=architecture, vocabulary=small(), kind=kind)
        for architecture in ARCHITECTURES
        for kind in KINDS
    }
    found = differences(tmp_path, models)
    print("\n".join(f"{name} {difference:.1e}" for name, difference in found.items()))
    assert {name: difference for name, difference in found.items() if not difference < TOLERANCE} == {}


@needs_export
def test_tied_embeddings_give_transformers_logits(tmp_path: Path) -> None:
    model = TinyModel(architecture="llama", vocabulary=small(), is_tied=True)
    assert differences(tmp_path, {"tied": model})["tied"] < TOLERANCE

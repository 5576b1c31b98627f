from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.errors import ConversionError
from export.gguf.exact import known_geometry
from export.gguf.file import read_gguf
from tests.support.gguf_files import HIDDEN, TinyModel, write_tiny_gguf
from tests.support.vocabularies import small


def check(folder: Path, architecture: str = "llama", **changes: Any) -> None:
    path = folder / "m.gguf"
    write_tiny_gguf(path, TinyModel(architecture=architecture, vocabulary=small(), **changes))
    known_geometry(read_gguf(path))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_plain_models_pass(tmp_path: Path, architecture: str) -> None:
    check(tmp_path, architecture)


@pytest.mark.parametrize("architecture", ["gemma3", "phi3", "qwen3moe", "mamba"])
def test_other_architectures_are_refused_with_what_to_do(tmp_path: Path, architecture: str) -> None:
    expected = (
        f"is a {architecture} model, and GGUF is read for llama, qwen2, qwen3: convert the model's Hugging"
    )
    with pytest.raises(ConversionError, match=expected):
        check(tmp_path, architecture)


@pytest.mark.parametrize(
    ("architecture", "kind", "part"),
    [
        ("clip", "mmproj", "the vision part of a model: convert that model's Hugging Face folder"),
        ("clip", None, "the vision part"),
        ("llama", "adapter", "a LoRA adapter: merge it"),
        ("llama", "imatrix", "an importance matrix"),
    ],
)
def test_what_is_no_model_is_refused_by_its_kind(
    tmp_path: Path, architecture: str, kind: str | None, part: str
) -> None:
    with pytest.raises(ConversionError, match=part):
        check(tmp_path, architecture, fields={"general.type": kind})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("expert_count", 8),
        ("rope.scaling.type", "yarn"),
        ("pooling_type", 3),
        ("attention.causal", False),
        ("logit_scale", 0.5),
        ("rope.dimension_count", 64),
        ("attention.value_length", 64),
    ],
)
def test_another_arithmetic_is_refused_by_its_key(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(ConversionError, match=f"has llama.{key} = {value}"):
        check(tmp_path, fields={f"llama.{key}": value})


def test_sizes_that_differ_by_layer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="which is no single size"):
        check(tmp_path, fields={"llama.attention.head_count_kv": [1, 2]})


def test_a_tensor_of_another_kind_of_model_is_refused_by_name(tmp_path: Path) -> None:
    experts = {"blk.0.ffn_gate_inp.weight": np.zeros((8, HIDDEN), np.float32)}
    with pytest.raises(
        ConversionError, match=r"holds the tensor blk\.0\.ffn_gate_inp\.weight, which no plain"
    ):
        check(tmp_path, tensors=experts)


def test_a_tensor_of_another_shape_is_called_damage(tmp_path: Path) -> None:
    wrong = {"output_norm.weight": np.ones(HIDDEN // 2, np.float32)}
    with pytest.raises(ConversionError, match=r"output_norm\.weight has the shape \(128,\), not \(256,\)"):
        check(tmp_path, tensors=wrong)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"lacks the tensor blk\.2\.attn_norm\.weight"):
        check(tmp_path, fields={"llama.block_count": 3})

"""The record names the files that each contender's weights are."""

from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.peers.contender import Contender
from benchmarks.peers.weights import weights_sha256


@pytest.mark.parametrize(
    ("kind", "model", "names"),
    [
        ("tiber-serve", ".", ["manifest.json", "openvino_model.bin"]),
        ("vllm", ".", ["a-1.safetensors", "a-2.safetensors"]),
        ("llamacpp", "x.gguf", ["x.gguf"]),
        ("openai", "http://127.0.0.1:1", []),
    ],
)
def test_weights_are_named_by_their_hashes(tmp_path: Path, kind: str, model: str, names: list[str]) -> None:
    all_names = ("manifest.json", "openvino_model.bin", "openvino_tokenizer.bin", "tuning.json")
    for name in (*all_names, "a-1.safetensors", "a-2.safetensors", "x.gguf"):
        (tmp_path / name).write_text(name)
    contender = Contender(label="a", kind=kind, model=model if kind == "openai" else str(tmp_path / model))

    assert weights_sha256(contender) == {name: sha256(name.encode()).hexdigest() for name in names}

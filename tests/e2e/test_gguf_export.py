"""GGUF files converted through the command line: in parts, of SentencePiece, damaged, and of other models."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from service.manifest import read_manifest
from tests.e2e.test_export import agrees_with_openvino, convert, generate, one_line
from tests.support.gguf_files import TinyModel, write_tiny_gguf, write_tiny_parts
from tests.support.vocabularies import byte_level, sentencepiece, small


def test_a_sentencepiece_model_in_parts_converts_and_answers(tmp_path: Path) -> None:
    model = TinyModel(architecture="llama", vocabulary=sentencepiece(), kind="Q6_K")
    first, *_ = write_tiny_parts(tmp_path, "tiny", model, 8)
    ended = convert(first, "--no-verify", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    output = tmp_path / "models" / "tiny-int8"
    assert ended.stdout == f"{output}\n"
    manifest = read_manifest(output)
    assert (manifest.source.kind, manifest.source.identity) == ("gguf", first.name)
    assert Tokenizer.from_file(str(output / "tokenizer.json")).encode("the").tokens[0] == "<s>"
    assert agrees_with_openvino(output) == ""
    assert generate(output, "the", max_new_tokens=4)
    assert convert(first, "--no-verify", cwd=tmp_path).stderr == f"already converted: {output}\n"


@pytest.mark.parametrize(("architecture", "rule"), [("qwen2", "qwen2"), ("qwen3", "tekken")])
def test_other_architectures_convert_and_answer_without_torch(
    tmp_path: Path, architecture: str, rule: str
) -> None:
    vocabulary = byte_level(rule, add_bos_token=True)
    write_tiny_gguf(
        tmp_path / "m.gguf", TinyModel(architecture=architecture, vocabulary=vocabulary, kind="Q4_0")
    )
    ended = convert("m.gguf", "--no-verify", "--weights", "int4", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    output = tmp_path / "models" / "m-int4"
    config = json.loads((output / "config.json").read_text())
    assert (config["model_type"], read_manifest(output).architecture) == (architecture, architecture)
    assert generate(output, "the", max_new_tokens=4)


def test_a_truncated_file_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "m.gguf", TinyModel(architecture="llama", vocabulary=small()))
    content = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content[: len(content) // 2])
    ended = convert("m.gguf", cwd=tmp_path)
    assert ended.returncode == 1
    assert "ends too early): download it again" in one_line(ended.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


@pytest.mark.parametrize(
    ("architecture", "part"), [("gemma3", "is a gemma3 model"), ("clip", "the vision part")]
)
def test_another_kind_of_model_is_refused_with_what_to_do(
    tmp_path: Path, architecture: str, part: str
) -> None:
    write_tiny_gguf(tmp_path / "m.gguf", TinyModel(architecture=architecture, vocabulary=small()))
    ended = convert("m.gguf", cwd=tmp_path)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert part in last
    assert "Hugging Face folder" in last
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]

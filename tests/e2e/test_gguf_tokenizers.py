"""Tokenizers made from GGUF files give llama.cpp's ids and OpenVINO's."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from openvino_genai import Tokenizer as EngineTokenizer
from tokenizers import Regex, Tokenizer, pre_tokenizers

from export.gguf.file import read_gguf
from export.gguf.model import write_side_files
from export.gguf.openvino_tokenizer import writing_openvino_tokenizer
from export.gguf.pre_tokenizers import RULES
from export.gguf.tokenizer import build_tokenizer
from export.tokenizer_check import compare
from tests.support.gguf_files import TinyModel, Vocabulary, vocabulary_of, write_tiny_gguf
from tests.support.llama_cpp import llama_cpp_ids
from tests.support.strings import many_strings
from tests.support.vocabularies import byte_level, sentencepiece

TEXTS = many_strings(2400, seed=6)
# llama.cpp writes tekken's expression without the classes of letters that it lacks: ASCII's case only,
# and no marks. Models were trained with the classes.
TEKKEN_IN_LLAMA_CPP = (
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+"
    r"|[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
OTHERS = {
    "sentencepiece": sentencepiece(),
    "sentencepiece without a first space": sentencepiece(add_space_prefix=False),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model for each pre-tokenizer's name, and for SentencePiece."""
    folder = tmp_path_factory.mktemp("vocabularies")
    return {
        name: written(folder / f"{number}.gguf", vocabulary)
        for number, (name, vocabulary) in enumerate(({n: byte_level(n) for n in RULES} | OTHERS).items())
    }


@pytest.fixture(scope="module")
def reference(files: dict[str, Path]) -> dict[str, list[list[int]]]:
    """What llama.cpp makes of the texts, and of the composed texts for rules that compose them."""
    composed = [unicodedata.normalize("NFC", text) for text in TEXTS]
    plain = [name for name in files if name not in RULES or not RULES[name].is_normalised]
    others = [name for name in files if name not in plain]
    found = dict(zip(plain, llama_cpp_ids([files[name] for name in plain], TEXTS), strict=True))
    return found | dict(zip(others, llama_cpp_ids([files[name] for name in others], composed), strict=True))


def written(path: Path, vocabulary: Vocabulary) -> Path:
    write_tiny_gguf(path, TinyModel(architecture="llama", vocabulary=vocabulary, hidden=32, is_tied=True))
    return path


def differing(ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]]) -> list[str]:
    """The texts that became other ids."""
    return [text for text, a, b in zip(TEXTS, ours, theirs, strict=True) if list(a) != list(b)]


def ids(tokenizer: Tokenizer) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(TEXTS, add_special_tokens=False)]


def test_there_are_many_texts_in_many_scripts() -> None:
    assert len(TEXTS) >= 2300
    letters = {letter for text in TEXTS for letter in text if letter.isalpha()}
    scripts = {unicodedata.name(letter, "UNNAMED").split()[0] for letter in letters}
    assert len(scripts) > 50, scripts
    assert many_strings(2400, seed=6) == TEXTS


def test_each_rule_gives_llama_cpps_ids(
    files: dict[str, Path], reference: dict[str, list[list[int]]]
) -> None:
    found = {
        name: differing(ids(build_tokenizer(read_gguf(files[name]))), reference[name])
        for name in files
        if name != "tekken"
    }
    print("\n".join(f"{name}: {len(TEXTS)} texts, {len(texts)} differ" for name, texts in found.items()))  # noqa: T201 - the table, with -s
    assert {name: texts[:3] for name, texts in found.items() if texts} == {}


def test_tekken_differs_from_llama_cpp_by_its_expression_only(
    files: dict[str, Path], reference: dict[str, list[list[int]]]
) -> None:
    tokenizer = build_tokenizer(read_gguf(files["tekken"]))
    differ = differing(ids(tokenizer), reference["tekken"])
    print(f"tekken: {len(TEXTS)} texts, {len(differ)} differ")  # noqa: T201 - the table, with -s
    assert all(not text.isascii() for text in differ)
    split = pre_tokenizers.Split(Regex(TEKKEN_IN_LLAMA_CPP), behavior="isolated")
    as_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_letters])
    assert differing(ids(tokenizer), reference["tekken"]) == []


def test_the_default_model_gives_llama_cpps_ids(default_gguf: Path, tmp_path: Path) -> None:
    """All but texts with a byte that its vocabulary lacks, which Hugging Face's tokenizer drops first."""
    gguf = read_gguf(default_gguf)
    small = written(tmp_path / "m.gguf", vocabulary_of(gguf.fields))
    lacking = set(pre_tokenizers.ByteLevel.alphabet()) - set(gguf.fields["tokenizer.ggml.tokens"])
    as_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    lacks = {
        text
        for text in TEXTS
        if lacking & set("".join(part for part, _ in as_letters.pre_tokenize_str(text)))
    }
    differ = differing(ids(build_tokenizer(gguf)), llama_cpp_ids([small], TEXTS)[0])
    print(f"the default model: {len(TEXTS)} texts, {len(differ)} differ, {len(lacks)} with unknown bytes")  # noqa: T201 - the table, with -s
    assert set(differ) <= lacks
    assert len(differ) < 10


@pytest.mark.parametrize("name", ["smollm", "llama-bpe", "qwen2", "tekken", "viking", *OTHERS])
def test_openvinos_tokenizer_agrees(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    """All but texts that end with NUL, which it drops, and marks out of order, which it leaves so."""
    gguf = read_gguf(files[name])
    ours = build_tokenizer(gguf)
    ours.save(str(tmp_path / "tokenizer.json"))
    write_side_files(gguf, tmp_path)
    with writing_openvino_tokenizer(tmp_path) as wait:
        wait()
    texts = [text for text in TEXTS[::4] if not text.endswith("\0")]
    if name in RULES and RULES[name].is_normalised:
        texts = [text for text in texts if unicodedata.is_normalized("NFC", text)]
    assert compare(ours, EngineTokenizer(tmp_path), texts) is None

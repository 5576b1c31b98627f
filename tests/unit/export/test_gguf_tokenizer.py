from pathlib import Path
from typing import Any

import pytest
from gguf_bytes import FIELDS
from tokenizers import Tokenizer

from export.errors import ConversionError
from export.gguf.file import GgufFile
from export.gguf.tokenizer import build_tokenizer


def gguf(**changes: Any) -> GgufFile:
    fields = FIELDS | {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    return GgufFile(path=Path("tiny.gguf"), fields=fields, parameter_count=1, largest_tensor=1, size_bytes=1)


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return list(tokenizer.encode(text).tokens)


def test_merges_build_words_and_spaces_belong_to_the_word_after() -> None:
    assert tokens(build_tokenizer(gguf()), "hello wo") == ["hello", "Ġw", "o"]


def test_smollm_splits_numbers_into_digits() -> None:
    assert tokens(build_tokenizer(gguf()), "hello 12") == ["hello", "Ġ", "1", "2"]


def test_control_and_user_defined_tokens_are_special() -> None:
    tokenizer = build_tokenizer(gguf())
    encoded = tokenizer.encode("<|user|>hello<|end|>")
    assert encoded.ids == [1, 13, 0]
    assert tokenizer.decode(encoded.ids) == "hello"
    assert tokenizer.decode(encoded.ids, skip_special_tokens=False) == "<|user|>hello<|end|>"


def test_text_survives_saving_and_decoding(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    build_tokenizer(gguf()).save(str(path))
    loaded = Tokenizer.from_file(str(path))
    assert loaded.decode(loaded.encode("hello wow 21!").ids) == "hello wow 21!"


def test_qwen2_keeps_the_sign_before_a_word_with_it() -> None:
    plus = gguf(pre="qwen2", tokens=[*FIELDS["tokenizer.ggml.tokens"], "!h"], merges=["! h"])
    assert tokens(build_tokenizer(plus), "!he") == ["!h", "e"]


@pytest.mark.parametrize("rule", ["llama-bpe", "gpt-2", "default", "made-up"])
def test_a_rule_that_is_not_known_is_refused_by_name(rule: str) -> None:
    with pytest.raises(ConversionError, match=f"rule {rule}, and only smollm, qwen2 are known"):
        build_tokenizer(gguf(pre=rule))


def test_a_vocabulary_that_is_not_bpe_is_refused_by_name() -> None:
    with pytest.raises(ConversionError, match="has a llama vocabulary"):
        build_tokenizer(gguf(model="llama"))


def test_a_token_before_every_text_is_refused() -> None:
    with pytest.raises(ConversionError, match="starts every text with a token"):
        build_tokenizer(gguf(add_bos_token=True))

from pathlib import Path
from typing import Any

import pytest
from gguf_bytes import FIELDS
from tokenizers import Tokenizer

from export.errors import ConversionError
from export.gguf.file import GgufFile
from export.gguf.tokenizer import build_tokenizer
from tests.support import vocabularies


def gguf(**changes: Any) -> GgufFile:
    fields = FIELDS | {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    return GgufFile(path=Path("tiny.gguf"), fields=fields, tensors={})


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return list(tokenizer.encode(text).tokens)


def test_merges_build_words_and_spaces_belong_to_the_word_after() -> None:
    assert tokens(build_tokenizer(gguf()), "hello wo") == ["hello", "Ġw", "o"]


def test_smollm_splits_numbers_into_digits() -> None:
    assert tokens(build_tokenizer(gguf()), "hello 12") == ["hello", "Ġ", "1", "2"]


def test_control_tokens_are_special_and_a_users_own_are_text() -> None:
    tokenizer = build_tokenizer(gguf())
    encoded = tokenizer.encode("<|user|>hello<|end|>")
    assert encoded.ids == [1, 13, 0]
    assert tokenizer.decode(encoded.ids) == "<|user|>hello"
    assert tokenizer.decode(encoded.ids, skip_special_tokens=False) == "<|user|>hello<|end|>"


def test_text_survives_saving_and_decoding(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    build_tokenizer(gguf()).save(str(path))
    loaded = Tokenizer.from_file(str(path))
    assert loaded.decode(loaded.encode("hello wow 21!").ids) == "hello wow 21!"


def test_qwen2_keeps_the_sign_before_a_word_with_it() -> None:
    plus = gguf(pre="qwen2", tokens=[*FIELDS["tokenizer.ggml.tokens"], "!h"], merges=["! h"])
    assert tokens(build_tokenizer(plus), "!he") == ["!h", "e"]


@pytest.mark.parametrize("rule", ["default", "deepseek-llm", "gpt-4o", "made-up"])
def test_a_rule_that_is_not_known_is_refused_by_name(rule: str) -> None:
    with pytest.raises(ConversionError, match=f"rule {rule}, and only a.x-4.0, .* are known: convert"):
        build_tokenizer(gguf(pre=rule))


def test_a_file_without_a_rule_is_refused() -> None:
    fields = {key: value for key, value in FIELDS.items() if key != "tokenizer.ggml.pre"}
    with pytest.raises(ConversionError, match=r"does not say how it splits text .* get a newer one"):
        build_tokenizer(GgufFile(path=Path("old.gguf"), fields=fields, tensors={}))


def test_another_kind_of_vocabulary_is_refused_by_name() -> None:
    with pytest.raises(ConversionError, match="has a bert vocabulary, and only gpt2"):
        build_tokenizer(gguf(model="bert"))


def test_merges_of_no_tokens_are_called_damage() -> None:
    with pytest.raises(ConversionError, match=r"does not fit its merges .* download it again"):
        build_tokenizer(gguf(merges=["x y"]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [13]),
        ({"add_bos_token": True, "bos_token_id": 1}, [1, 13]),
        ({"add_eos_token": True}, [13, 0]),
        ({"add_bos_token": True, "bos_token_id": 0, "add_eos_token": True}, [0, 13, 0]),
        ({"pre": "llama-bpe", "bos_token_id": 1}, [1, 13]),
        ({"pre": "llama-bpe", "bos_token_id": 1, "add_bos_token": False}, [13]),
    ],
)
def test_a_text_is_framed_as_the_file_says(changes: dict[str, Any], expected: list[int]) -> None:
    tokenizer = build_tokenizer(gguf(**changes))
    assert tokenizer.encode("hello").ids == expected
    assert tokenizer.encode("hello", add_special_tokens=False).ids == [13]


def test_a_frame_of_a_token_that_is_not_there_is_called_damage() -> None:
    with pytest.raises(ConversionError, match="bos token 99 is not in its vocabulary"):
        build_tokenizer(gguf(add_bos_token=True, bos_token_id=99))


def sentencepiece(**changes: Any) -> GgufFile:
    fields = {f"tokenizer.{key}": value for key, value in vocabularies.sentencepiece(**changes).pairs.items()}
    return GgufFile(path=Path("tiny.gguf"), fields=fields, tensors={})


def test_sentencepiece_begins_with_a_space_and_falls_back_to_bytes() -> None:
    tokenizer = build_tokenizer(sentencepiece())
    encoded = tokenizer.encode("the \U0001fae8")  # a face that no piece holds
    assert encoded.tokens[0] == "<s>"
    assert encoded.tokens[1].startswith("\u2581")
    assert encoded.tokens[-4:] == ["<0xF0>", "<0x9F>", "<0xAB>", "<0xA8>"]
    assert tokenizer.decode(encoded.ids) == "the \U0001fae8"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"scores": [0.0]}, "1 scores"),
        ({"token_type": [1] * vocabularies.sentencepiece().size}, "no token for each byte"),
        ({"remove_extra_whitespaces": True}, "drops spaces"),
    ],
)
def test_sentencepiece_that_lacks_something_is_refused(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(ConversionError, match=part):
        build_tokenizer(sentencepiece(**changes))

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from export.tokenizer_check import compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Reads like the tokenizer it wraps, but for what `spoil_ids` and `spoil_text` change."""

    tokenizer: Tokenizer
    spoil_ids: bool = False
    spoil_text: bool = False

    def encode(self, text: str, add_special_tokens: bool) -> SimpleNamespace:
        ids = self.tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        ids = ids[::-1] if self.spoil_ids else ids
        return SimpleNamespace(input_ids=SimpleNamespace(data=np.array([ids])))

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens) + "x" * self.spoil_text


def words() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_tokenizers_that_agree_have_no_disagreement() -> None:
    assert compare(words(), Engine(tokenizer=words()), ["a b", "b"]) is None


def test_other_ids_are_reported_with_the_first_text() -> None:
    found = compare(words(), Engine(tokenizer=words(), spoil_ids=True), ["a a", "a b"])
    assert str(found) == "encoding of 'a b'"


def test_other_text_is_reported() -> None:
    found = compare(words(), Engine(tokenizer=words(), spoil_text=True), ["a b"])
    assert str(found) == "decoding of 'a b'"

"""Vocabularies that show where text was split: their merges cross the borders of words."""

import json
from functools import cache
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.support.gguf_files import Vocabulary
from tests.support.strings import many_strings

_STRINGS, _SEED, _SIZE, _LONGEST = 6000, 99, 8000, 12
_SPACE = "\u2581"


def byte_level(rule: str, **changes: Any) -> Vocabulary:
    """Of byte-level BPE, merged in unsplit strings; `<|end|>` is its one special token."""
    tokens, merges = _byte_level()
    end = len(tokens) - 1
    pairs = {
        "ggml.model": "gpt2",
        "ggml.pre": rule,
        "ggml.tokens": tokens,
        "ggml.token_type": [1] * end + [3],
        "ggml.merges": merges,
        "ggml.bos_token_id": end,
        "ggml.eos_token_id": end,
        "ggml.add_bos_token": False,
    }
    return Vocabulary(pairs=pairs | {f"ggml.{key}": value for key, value in changes.items()})


def sentencepiece(**changes: Any) -> Vocabulary:
    """Of SentencePiece BPE: pieces with scores, and a token for each byte."""
    pieces = _pieces()
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *bytes_, *pieces]
    pairs = {
        "ggml.model": "llama",
        "ggml.tokens": tokens,
        "ggml.scores": [0.0] * 259 + [-float(rank) for rank in range(len(pieces))],
        "ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * len(pieces)],
        "ggml.unknown_token_id": 0,
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
    }
    return Vocabulary(pairs=pairs | {f"ggml.{key}": value for key, value in changes.items()})


@cache
def _byte_level() -> tuple[list[str], list[str]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    trained = _train(tokenizer, many_strings(_STRINGS, _SEED), letters)
    tokens = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    return [*tokens, "<|end|>"], [" ".join(pair) for pair in trained["merges"]]


@cache
def _pieces() -> list[str]:
    """The merged first, best first, then the characters: the order of SentencePiece's own files."""
    # llama.cpp reads a piece up to its first NUL.
    texts = [text.replace("\0", "") for text in many_strings(_STRINGS, _SEED)]
    strings = [_SPACE + text.replace(" ", _SPACE) for text in texts]
    trained = _train(Tokenizer(models.BPE()), strings, [])
    merged = ["".join(pair) for pair in trained["merges"]]
    characters = [piece for piece in trained["vocab"] if len(piece) == 1]
    return [*dict.fromkeys(merged), *sorted(characters)]


def _train(tokenizer: Tokenizer, strings: list[str], alphabet: list[str]) -> dict[str, Any]:
    trainer = trainers.BpeTrainer(
        vocab_size=_SIZE, initial_alphabet=alphabet, show_progress=False, max_token_length=_LONGEST,
        limit_alphabet=1000,
    )  # fmt: skip
    tokenizer.train_from_iterator(strings, trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def small() -> Vocabulary:
    """A few hundred tokens and no merges, for tests of weights."""
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "<|end|>"]
    pairs = {
        "ggml.model": "gpt2",
        "ggml.pre": "gpt-2",
        "ggml.tokens": tokens,
        "ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "ggml.merges": ["a b"],
        "ggml.bos_token_id": len(tokens) - 1,
        "ggml.eos_token_id": len(tokens) - 1,
        "ggml.add_bos_token": False,
    }
    return Vocabulary(pairs=pairs)

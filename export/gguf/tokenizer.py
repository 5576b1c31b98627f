"""Builds a Hugging Face tokenizer.json from the vocabulary inside a GGUF file."""

from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from export.errors import ConversionError
from export.gguf.file import INSTEAD, GgufFile
from export.gguf.pre_tokenizers import RULES, Rule
from export.gguf.sentencepiece import build_sentencepiece

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # token types
BYTE_PAIRS, SENTENCEPIECE = "gpt2", "llama"  # GGUF's names for kinds of vocabulary


def build_tokenizer(gguf: GgufFile) -> Tokenizer:
    """Build the tokenizer that `gguf` describes.

    Raises:
        ConversionError: for a vocabulary or a pre-tokenizer whose rules are not known here.
    """
    kind = gguf.require("tokenizer.ggml.model")
    if kind == BYTE_PAIRS:
        rule = _rule(gguf)
        tokenizer, begins_with_bos = _byte_level(gguf, rule), rule.begins_with_bos
    elif kind == SENTENCEPIECE:
        tokenizer, begins_with_bos = build_sentencepiece(gguf), True
    else:
        raise ConversionError(
            f"{gguf.path.name} has a {kind} vocabulary, and only {BYTE_PAIRS} (byte-level BPE) and "
            f"{SENTENCEPIECE} (SentencePiece BPE) are known: {INSTEAD}"
        )
    _add_marked_tokens(tokenizer, gguf)
    _frame(tokenizer, gguf, begins_with_bos)
    return tokenizer


def _rule(gguf: GgufFile) -> Rule:
    name = gguf.fields.get("tokenizer.ggml.pre")
    if name is None:
        raise ConversionError(
            f"{gguf.path.name} does not say how it splits text (tokenizer.ggml.pre), as old files don't: "
            "get a newer one of the model"
        )
    if name not in RULES:
        known = ", ".join(RULES)
        raise ConversionError(
            f"{gguf.path.name} splits text by the rule {name}, and only {known} are known: {INSTEAD}"
        )
    return RULES[name]


def _byte_level(gguf: GgufFile, rule: Rule) -> Tokenizer:
    tokens: list[str] = gguf.require("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in gguf.require("tokenizer.ggml.merges")]
    vocabulary = {token: position for position, token in enumerate(tokens)}
    try:
        model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=rule.takes_whole_words)
    except Exception as error:
        raise ConversionError(
            f"{gguf.path.name}'s vocabulary does not fit its merges ({error}): download it again"
        ) from error
    tokenizer = Tokenizer(model)
    if rule.is_normalised:
        tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(rule.split), behavior="isolated")
    as_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, as_letters])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _add_marked_tokens(tokenizer: Tokenizer, gguf: GgufFile) -> None:
    """Those that are found in text whole: control tokens, which are no text of an answer, and the user's."""
    tokens = gguf.require("tokenizer.ggml.tokens")
    types = gguf.fields.get("tokenizer.ggml.token_type", [])
    for token, kind in zip(tokens, types, strict=False):
        if kind in (UNKNOWN, CONTROL, USER_DEFINED):
            is_control = kind != USER_DEFINED
            added = AddedToken(token, special=is_control, normalized=False)
            (tokenizer.add_special_tokens if is_control else tokenizer.add_tokens)([added])


def _frame(tokenizer: Tokenizer, gguf: GgufFile, begins_with_bos: bool) -> None:
    """Let every text begin and end with the tokens that the file says."""
    front = _framing(gguf, "bos", begins_with_bos)
    back = _framing(gguf, "eos", is_usual=False)
    if not front and not back:
        return
    one = [*(name for name, _ in front), "$A", *(name for name, _ in back)]
    two = [*one, *(f"{name}:1" for name, _ in front), "$B:1", *(f"{name}:1" for name, _ in back)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=one, pair=two, special_tokens=[*front, *(token for token in back if token not in front)]
    )


def _framing(gguf: GgufFile, role: str, is_usual: bool) -> list[tuple[str, int]]:
    """The token of a role with its id, in a list; none when the file does not want it in every text."""
    if not gguf.fields.get(f"tokenizer.ggml.add_{role}_token", is_usual):
        return []
    position: Any = gguf.require(f"tokenizer.ggml.{role}_token_id")
    tokens = gguf.require("tokenizer.ggml.tokens")
    if position >= len(tokens):
        raise ConversionError(
            f"{gguf.path.name}'s {role} token {position} is not in its vocabulary: download it again"
        )
    return [(tokens[position], position)]

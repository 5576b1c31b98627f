"""Builds a Hugging Face tokenizer.json from the vocabulary and merges inside a GGUF file."""

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from export.errors import ConversionError
from export.gguf_file import GgufFile

CONTROL, USER_DEFINED = 3, 4  # token types; GenAI's own GGUF reader treats both as special
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


def build_tokenizer(gguf: GgufFile) -> Tokenizer:
    """Build the tokenizer that `gguf` describes.

    Raises:
        ConversionError: for a vocabulary or a pre-tokenizer whose rules are not known here.
    """
    kind = gguf.require("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ConversionError(
            f"{gguf.path.name} has a {kind!r} vocabulary and only byte-level BPE ('gpt2') is known: "
            "convert the model from its Hugging Face folder instead"
        )
    tokens: list[str] = gguf.require("tokenizer.ggml.tokens")
    pre = gguf.fields.get("tokenizer.ggml.pre", "gpt-2")
    merges = [tuple(merge.split(" ", 1)) for merge in gguf.require("tokenizer.ggml.merges")]
    vocabulary = {token: position for position, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = _pre_tokenizer(pre, gguf.path.name)
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_special_tokens(tokens, gguf.fields.get("tokenizer.ggml.token_type", [])))
    tokenizer.post_processor = _post_processor(gguf, tokens)
    return tokenizer


def token_text(gguf: GgufFile, role: str) -> str | None:
    """The text of the token in `role` (bos, eos, padding), None when the file names none."""
    position = gguf.fields.get(f"tokenizer.ggml.{role}_token_id")
    return None if position is None else str(gguf.require("tokenizer.ggml.tokens")[int(position)])


def _pre_tokenizer(name: str, file_name: str) -> Any:
    """The rule that GGUF knows as `name`; the names are those of llama.cpp's `llama-vocab.cpp`."""
    if name in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    patterns = {"llama-bpe": LLAMA3_SPLIT, "qwen2": QWEN2_SPLIT}
    if name in patterns:
        split = pre_tokenizers.Split(Regex(patterns[name]), behavior="isolated")
        return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    raise ConversionError(
        f"{file_name} splits text by the rule {name!r}, which is not known here "
        "(known: smollm, qwen2, llama-bpe, gpt-2): convert the model from its Hugging Face folder instead"
    )


def _special_tokens(tokens: list[str], types: list[int]) -> list[AddedToken]:
    return [
        AddedToken(token, special=True, normalized=False)
        for token, kind in zip(tokens, types, strict=False)
        if kind in (CONTROL, USER_DEFINED)
    ]


def _post_processor(gguf: GgufFile, tokens: list[str]) -> Any:
    byte_level = processors.ByteLevel(trim_offsets=False)
    if not gguf.fields.get("tokenizer.ggml.add_bos_token", False):
        return byte_level
    position = int(gguf.require("tokenizer.ggml.bos_token_id"))
    bos = tokens[position]
    template = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, position)]
    )
    return processors.Sequence([byte_level, template])

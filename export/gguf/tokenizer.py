"""Builds a Hugging Face tokenizer.json from the vocabulary and merges inside a GGUF file."""

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from export.errors import ConversionError
from export.gguf.file import GgufFile

CONTROL, USER_DEFINED = 3, 4  # token types; GenAI's own GGUF reader treats both as special
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# For other names GenAI 2026.4's reader takes a rule of its own: llama-bpe and gpt-2 come out wrong.
KNOWN_RULES = ("smollm", "qwen2")


def build_tokenizer(gguf: GgufFile) -> Tokenizer:
    """Build the tokenizer that `gguf` describes.

    Raises:
        ConversionError: for a vocabulary or a pre-tokenizer whose rules are not known here.
    """
    _refuse_unknown(gguf)
    tokens: list[str] = gguf.require("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in gguf.require("tokenizer.ggml.merges")]
    vocabulary = {token: position for position, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    if gguf.require("tokenizer.ggml.pre") == "qwen2":
        tokenizer.normalizer = normalizers.NFC()  # as the model was trained; OpenVINO's reader leaves it out
        split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    else:
        split = pre_tokenizers.Digits(individual_digits=True)
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(_special_tokens(tokens, gguf.fields.get("tokenizer.ggml.token_type", [])))
    return tokenizer


def _refuse_unknown(gguf: GgufFile) -> None:
    instead = "convert the model's Hugging Face folder instead"
    file, kind = gguf.path.name, gguf.require("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ConversionError(f"{file} has a {kind} vocabulary, and only byte-level BPE is known: {instead}")
    rule = gguf.fields.get("tokenizer.ggml.pre", "default")
    if rule not in KNOWN_RULES:
        known = ", ".join(KNOWN_RULES)
        raise ConversionError(f"{file} splits text by the rule {rule}, and only {known} are known: {instead}")
    if gguf.fields.get("tokenizer.ggml.add_bos_token", False):
        raise ConversionError(
            f"{file} starts every text with a token of its own, and OpenVINO's reader does not: {instead}"
        )


def _special_tokens(tokens: list[str], types: list[int]) -> list[AddedToken]:
    return [
        AddedToken(token, special=True, normalized=False)
        for token, kind in zip(tokens, types, strict=False)
        if kind in (CONTROL, USER_DEFINED)
    ]

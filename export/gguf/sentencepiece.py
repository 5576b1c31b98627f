"""Builds the tokenizer of a SentencePiece BPE vocabulary, as Llama 2 and the first Mistrals have one.

GGUF stores its pieces with their scores; pairs merge by the score of what they make. Bytes that no piece
covers have tokens of their own.
"""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers

from export.errors import ConversionError
from export.gguf.file import INSTEAD, GgufFile

SPACE = "\u2581"
NORMAL, UNKNOWN, BYTE = 1, 2, 6  # token types
BYTES = 256


def build_sentencepiece(gguf: GgufFile) -> Tokenizer:
    """Build the tokenizer without its special tokens.

    Raises:
        ConversionError: when the vocabulary lacks what the rules need.
    """
    tokens: list[str] = gguf.require("tokenizer.ggml.tokens")
    scores: list[float] = gguf.require("tokenizer.ggml.scores")
    types: list[int] = gguf.require("tokenizer.ggml.token_type")
    _check(gguf, tokens, scores, types)
    vocabulary = {token: position for position, token in enumerate(tokens)}
    unknown = next(token for token, kind in zip(tokens, types, strict=True) if kind == UNKNOWN)
    model = models.BPE(
        vocab=vocabulary,
        merges=list(_merges(tokens, scores, types)),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    begins_with_space = gguf.fields.get("tokenizer.ggml.add_space_prefix", True)
    spaces = [normalizers.Replace(" ", SPACE)]
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), *spaces] if begins_with_space else spaces
    )
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if begins_with_space:
        steps.append(decoders.Strip(content=" ", left=1, right=0))
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _merges(tokens: list[str], scores: list[float], types: list[int]) -> Iterator[tuple[str, str]]:
    """Every pair of pieces that makes a piece, the best first."""
    pieces = {
        token: position
        for position, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind == NORMAL
    }
    for whole in sorted(pieces, key=lambda piece: -scores[pieces[piece]]):
        cuts = [(whole[:at], whole[at:]) for at in range(1, len(whole))]
        pairs = [pair for pair in cuts if pair[0] in pieces and pair[1] in pieces]
        yield from sorted(pairs, key=lambda pair: (pieces[pair[0]], pieces[pair[1]]))


def _check(gguf: GgufFile, tokens: list[str], scores: list[float], types: list[int]) -> None:
    if not len(tokens) == len(scores) == len(types):
        raise ConversionError(
            f"{gguf.path.name} has {len(tokens)} tokens, {len(scores)} scores and {len(types)} token types: "
            "download it again"
        )
    if types.count(BYTE) != BYTES or types.count(UNKNOWN) != 1:
        raise ConversionError(
            f"{gguf.path.name}'s vocabulary has no token for each byte and one for what is unknown, "
            f"as SentencePiece's have: {INSTEAD}"
        )
    if gguf.fields.get("tokenizer.ggml.remove_extra_whitespaces", False):
        raise ConversionError(f"{gguf.path.name} drops spaces of a text, which is not known: {INSTEAD}")

"""The numbers of a language model that its memory follows from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A decoder-only language model; None where a number is not known.

    `parameters` counts the whole model, a vision tower included. `is_tied`: the last layer is the
    embedding, turned round.
    """

    parameters: int | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    intermediate: int | None = None
    vocabulary: int | None = None
    is_tied: bool | None = None
    context: int | None = None

    @property
    def embedding_parameters(self) -> int | None:
        """Numbers in the embedding and in the last layer."""
        if self.vocabulary is None or self.hidden is None or self.is_tied is None:
            return None
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def cached_numbers_per_token(self) -> int | None:
        """Keys and values that one token leaves in the cache, in numbers."""
        if self.layers is None or self.kv_heads is None or self.head_size is None:
            return None
        return 2 * self.layers * self.kv_heads * self.head_size


def from_config(config: Mapping[str, Any], weight_bytes: int | None = None) -> Shape:
    """The shape that a config.json tells of; `weight_bytes` are those of its 16-bit weight files."""
    text = config.get("text_config") or config.get("llm_config") or config
    hidden, heads = _number(text, "hidden_size", "n_embd"), _number(text, "num_attention_heads", "n_head")
    head_size = _number(text, "head_dim")
    if head_size is None and hidden is not None and heads:
        head_size = hidden // heads
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    return Shape(
        parameters=None if weight_bytes is None else weight_bytes // 2,
        layers=_number(text, "num_hidden_layers", "n_layer"),
        hidden=hidden,
        heads=heads,
        kv_heads=_number(text, "num_key_value_heads") or heads,
        head_size=head_size,
        intermediate=_number(text, "intermediate_size", "n_inner"),
        vocabulary=_number(text, "vocab_size"),
        is_tied=tied if isinstance(tied, bool) else None,
        context=_number(text, "max_position_embeddings", "n_positions"),
    )


def from_gguf(fields: Mapping[str, Any], parameters: int) -> Shape:
    """The shape that a GGUF file's fields tell of."""
    family = str(fields.get("general.architecture"))
    hidden, heads = (
        _number(fields, f"{family}.{key}") for key in ("embedding_length", "attention.head_count")
    )
    head_size = _number(fields, f"{family}.attention.key_length")
    if head_size is None and hidden is not None and heads:
        head_size = hidden // heads
    return Shape(
        parameters=parameters,
        layers=_number(fields, f"{family}.block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=_number(fields, f"{family}.attention.head_count_kv") or heads,
        head_size=head_size,
        intermediate=_number(fields, f"{family}.feed_forward_length"),
        vocabulary=len(fields.get("tokenizer.ggml.tokens", ())) or None,
        context=_number(fields, f"{family}.context_length"),
    )


def _number(source: Mapping[str, Any], *keys: str) -> int | None:
    values = (source.get(key) for key in keys)
    return next((int(value) for value in values if isinstance(value, int) and value > 0), None)

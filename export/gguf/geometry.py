"""The sizes of a language model in a GGUF file, and the tensors that it must hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from export.errors import ConversionError
from export.gguf.file import INSTEAD, GgufFile

EMBEDDING, OUTPUT, FINAL_NORM, ROPE_FACTORS = (
    "token_embd.weight",
    "output.weight",
    "output_norm.weight",
    "rope_freqs.weight",
)
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The sizes that llama, qwen2 and qwen3 models have."""

    architecture: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    norm_epsilon: float
    rope_base: float
    rope_divisor: float

    @property
    def is_interleaved(self) -> bool:
        """Whether a head's query and key rows alternate between its halves: llama.cpp stores llama so."""
        return self.architecture == "llama"


def read_geometry(gguf: GgufFile) -> Geometry:
    """The sizes that the file's key-value pairs give.

    Raises:
        ConversionError: when one is missing, or no size.
    """
    architecture = gguf.architecture
    hidden, heads = _size(gguf, "embedding_length"), _size(gguf, "attention.head_count")
    # As llama.cpp: no type means linear, and scale_linear is the factor's old name.
    rope = f"{architecture}.rope"
    linear = gguf.fields.get(f"{rope}.scaling.type", "linear") == "linear"
    factor = gguf.fields.get(f"{rope}.scaling.factor", gguf.fields.get(f"{rope}.scale_linear", 1.0))
    divisor = factor if linear else 1.0
    return Geometry(
        architecture=architecture,
        layers=_size(gguf, "block_count"),
        hidden=hidden,
        feed_forward=_size(gguf, "feed_forward_length"),
        heads=heads,
        kv_heads=_size(gguf, "attention.head_count_kv", heads),
        head_size=_size(gguf, "attention.key_length", hidden // heads),
        vocabulary=len(gguf.require("tokenizer.ggml.tokens")),
        norm_epsilon=float(gguf.require(f"{architecture}.attention.layer_norm_rms_epsilon")),
        rope_base=float(gguf.fields.get(f"{architecture}.rope.freq_base", 10000.0)),
        rope_divisor=float(divisor) or 1.0,
    )


def check_tensors(gguf: GgufFile, geometry: Geometry) -> None:
    """Refuse a file that lacks a tensor, or has one of another shape or of another kind of model.

    Raises:
        ConversionError: naming the tensor.
    """
    file, needed, allowed = gguf.path.name, dict(_needed(geometry)), dict(_allowed(geometry))
    for name in needed:
        if name not in gguf.tensors:
            raise ConversionError(f"{file} lacks the tensor {name}: download it again, or {INSTEAD}")
    for name, tensor in gguf.tensors.items():
        expected = needed.get(name) or allowed.get(name)
        if expected is None:
            raise ConversionError(
                f"{file} holds the tensor {name}, which no plain {geometry.architecture} model has: {INSTEAD}"
            )
        if tensor.shape != expected:
            raise ConversionError(
                f"{file}'s tensor {name} has the shape {tensor.shape}, not {expected}: download it again"
            )


def layer_tensor(layer: int, part: str) -> str:
    """The name of a layer's tensor."""
    return f"blk.{layer}.{part}"


def _needed(geometry: Geometry) -> Iterator[tuple[str, Shape]]:
    hidden, forward = geometry.hidden, geometry.feed_forward
    query, key = geometry.heads * geometry.head_size, geometry.kv_heads * geometry.head_size
    yield EMBEDDING, (geometry.vocabulary, hidden)
    yield FINAL_NORM, (hidden,)
    for layer in range(geometry.layers):
        parts: dict[str, Shape] = {
            "attn_norm.weight": (hidden,),
            "attn_q.weight": (query, hidden),
            "attn_k.weight": (key, hidden),
            "attn_v.weight": (key, hidden),
            "attn_output.weight": (hidden, query),
            "ffn_norm.weight": (hidden,),
            "ffn_gate.weight": (forward, hidden),
            "ffn_up.weight": (forward, hidden),
            "ffn_down.weight": (hidden, forward),
        }
        if geometry.architecture == "qwen3":
            parts |= dict.fromkeys(("attn_q_norm.weight", "attn_k_norm.weight"), (geometry.head_size,))
        yield from ((layer_tensor(layer, part), shape) for part, shape in parts.items())


def _allowed(geometry: Geometry) -> Iterator[tuple[str, Shape]]:
    """Those that a model may have: an output of its own, biases, and llama 3's rope factors."""
    yield OUTPUT, (geometry.vocabulary, geometry.hidden)
    yield "output.bias", (geometry.vocabulary,)
    yield ROPE_FACTORS, (geometry.head_size // 2,)
    for name, shape in _needed(geometry):
        if name.startswith("blk.") and len(shape) > 1:
            yield name.removesuffix("weight") + "bias", shape[:1]


def _size(gguf: GgufFile, key: str, otherwise: int | None = None) -> int:
    full = f"{gguf.architecture}.{key}"
    value: Any = gguf.require(full) if otherwise is None else gguf.fields.get(full, otherwise)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ConversionError(f"{gguf.path.name} says {full} = {value}, which is no single size: {INSTEAD}")
    return value

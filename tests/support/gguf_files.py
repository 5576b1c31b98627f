"""Writes small GGUF models with random weights, through the gguf package's own writer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

# transformers takes heads of 128 for every qwen3 file.
HIDDEN, FEED_FORWARD, HEADS, KV_HEADS, LAYERS = 256, 512, 2, 1, 2
RAW_BLOCKS = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")
RAW_BLOCKS += ("IQ1_S", "IQ1_M", "IQ4_NL", "IQ4_XS")
"""Types that the gguf package reads and does not write: their blocks are drawn at random."""
_SCALES = {  # where the f16 scales of a block are, in bytes
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ2_XXS": (0,),
    "IQ2_XS": (0,),
    "IQ2_S": (0,),
    "IQ3_XXS": (0,),
    "IQ3_S": (0,),
    "IQ1_S": (0,),
    "IQ1_M": (),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
}
_BLOCK_SCALE = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The key-value pairs `tokenizer.*` of a file, without the prefix `tokenizer.`."""

    pairs: Mapping[str, Any]

    @property
    def size(self) -> int:
        return len(self.pairs["ggml.tokens"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyModel:
    """What a small file is to hold."""

    architecture: str
    vocabulary: Vocabulary
    kind: str = "F16"
    hidden: int = HIDDEN
    seed: int = 0
    is_tied: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Key-value pairs and tensors besides the usual, or instead of them."""


def vocabulary_of(fields: Mapping[str, Any]) -> Vocabulary:
    """That of a file's key-value pairs."""
    pairs = {key.removeprefix("tokenizer."): value for key, value in fields.items() if _is_vocabulary(key)}
    return Vocabulary(pairs=pairs)


def write_tiny_gguf(path: Path, model: TinyModel) -> None:
    """Write the model as one file."""
    writer = gguf.GGUFWriter(path, model.architecture)
    _add_fields(writer, model)
    for name, (values, kind) in _tensors(model).items():
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_tiny_parts(folder: Path, name: str, model: TinyModel, tensors_each: int) -> list[Path]:
    """Write the model as several files; return them."""
    writer = gguf.GGUFWriter(folder / f"{name}.gguf", model.architecture, split_max_tensors=tensors_each)
    _add_fields(writer, model)
    for tensor, (values, kind) in _tensors(model).items():
        writer.add_tensor(tensor, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob(f"{name}-*-of-*.gguf"))


def _add_fields(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    usual = {
        "context_length": 512,
        "embedding_length": model.hidden,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 10000.0,
        "rope.dimension_count": model.hidden // HEADS,
    }
    if model.architecture != "llama":
        del usual["rope.dimension_count"]
    if model.architecture == "qwen3":
        usual |= {
            "attention.key_length": model.hidden // HEADS,
            "attention.value_length": model.hidden // HEADS,
        }
    fields = {f"{model.architecture}.{key}": value for key, value in usual.items()}
    fields |= {"general.file_type": 1} | {f"tokenizer.{k}": v for k, v in model.vocabulary.pairs.items()}
    for key, value in (fields | dict(model.fields)).items():
        if value is not None:
            writer.add_key_value(key, value, _value_kind(value), *_items_kind(value))


def _tensors(model: TinyModel) -> dict[str, tuple[NDArray[Any], gguf.GGMLQuantizationType | None]]:
    head = model.hidden // HEADS
    query, key = model.hidden, head * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (model.vocabulary.size, model.hidden)}
    if not model.is_tied:
        shapes["output.weight"] = shapes["token_embd.weight"]
    shapes["output_norm.weight"] = (model.hidden,)
    for layer in range(LAYERS):
        parts: dict[str, tuple[int, ...]] = {
            "attn_norm": (model.hidden,),
            "attn_q": (query, model.hidden),
            "attn_k": (key, model.hidden),
            "attn_v": (key, model.hidden),
            "attn_output": (model.hidden, query),
            "ffn_norm": (model.hidden,),
            "ffn_gate": (FEED_FORWARD, model.hidden),
            "ffn_up": (FEED_FORWARD, model.hidden),
            "ffn_down": (model.hidden, FEED_FORWARD),
        }
        if model.architecture == "qwen3":
            parts |= {"attn_q_norm": (head,), "attn_k_norm": (head,)}
        shapes |= {f"blk.{layer}.{part}.weight": shape for part, shape in parts.items()}
        if model.architecture == "qwen2":
            biased = {"attn_q": query, "attn_k": key, "attn_v": key}
            shapes |= {f"blk.{layer}.{part}.bias": (size,) for part, size in biased.items()}
    tensors = {name: _random(model.seed, name, shape, model.kind) for name, shape in shapes.items()}
    return tensors | {name: (values, None) for name, values in model.tensors.items()}


def _random(
    seed: int, name: str, shape: tuple[int, ...], kind: str
) -> tuple[NDArray[Any], gguf.GGMLQuantizationType | None]:
    """The same for a tensor's name whatever other tensors there are."""
    random = np.random.default_rng([seed, *name.encode()])
    if len(shape) == 1:
        middle = 1.0 if name.endswith(".weight") else 0.0
        return random.normal(middle, 0.2, shape).astype(np.float32), None
    quantised = gguf.GGMLQuantizationType[kind]
    if kind in RAW_BLOCKS:
        return _random_blocks(random, shape, kind), quantised
    values = random.normal(0.0, 0.05, shape).astype(np.float32)
    return gguf.quants.quantize(values, quantised), quantised


def _random_blocks(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> NDArray[np.uint8]:
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    blocks = random.integers(0, 256, (shape[0], shape[1] // elements, size), dtype=np.uint8)
    scale = np.frombuffer(np.float16(_BLOCK_SCALE).tobytes(), np.uint8)
    for at in _SCALES[kind]:
        blocks[..., at : at + 2] = scale
    if kind == "IQ1_M":  # its scale's four nibbles are the high ones of four 16-bit words
        bits = int(np.float16(_BLOCK_SCALE).view(np.uint16))
        for word in range(4):
            at = 48 + 2 * word + 1
            blocks[..., at] = (blocks[..., at] & 0x0F) | ((bits >> 4 * word & 0xF) << 4)
    return blocks.reshape(shape[0], -1)


def _is_vocabulary(key: str) -> bool:
    return key.startswith("tokenizer.")


def _value_kind(value: Any) -> gguf.GGUFValueType:
    if isinstance(value, list):
        return gguf.GGUFValueType.ARRAY
    return _scalar_kind(value)


def _items_kind(value: Any) -> tuple[gguf.GGUFValueType, ...]:
    """llama.cpp wants token types as int32."""
    if not isinstance(value, list):
        return ()
    kind = _scalar_kind(value[0])
    return (gguf.GGUFValueType.INT32 if kind == gguf.GGUFValueType.UINT32 else kind,)


def _scalar_kind(value: Any) -> gguf.GGUFValueType:
    kinds = gguf.GGUFValueType
    if isinstance(value, bool):
        return kinds.BOOL
    if isinstance(value, int):
        return kinds.INT32 if value < 0 else kinds.UINT32
    if isinstance(value, float):
        return kinds.FLOAT32
    return kinds.STRING

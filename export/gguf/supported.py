"""Refuses GGUF files of models whose graph is not known here."""

from typing import Any

from export.errors import ConversionError
from export.gguf.file import INSTEAD, GgufFile
from export.gguf.geometry import Geometry

ARCHITECTURES = ("llama", "qwen2", "qwen3")
KINDS = {
    "adapter": "a LoRA adapter: merge it into its model first",
    "mmproj": "the vision part of a model: convert that model's Hugging Face folder",
    "imatrix": "an importance matrix and no model: name the model's own file",
    "vocab": "a vocabulary and no model: name the model's own file",
}
# What changes the arithmetic of a llama-shaped model, with the values that change nothing.
PLAIN: dict[str, tuple[Any, ...]] = {
    "expert_count": (0,),
    "attention.causal": (True,),
    "attention.scale": (0, 0.0),
    "attention.layer_norm_epsilon": (),
    "attention.clamp_kqv": (0, 0.0),
    "attention.max_alibi_bias": (0, 0.0),
    "attn_logit_softcapping": (0, 0.0),
    "final_logit_softcapping": (0, 0.0),
    "attention.sliding_window": (0,),
    "embedding_scale": (0, 0.0, 1.0),
    "residual_scale": (0, 0.0, 1.0),
    "logit_scale": (0, 0.0, 1.0),
    "pooling_type": (0,),
    "rope.scaling.type": ("none", "linear"),
    "rope.scaling.attn_factor": (0, 0.0, 1, 1.0),
    "use_parallel_residual": (False,),
    "interleave_moe_layer_step": (),
    "nextn_predict_layers": (0,),
}


def refuse_unsupported(gguf: GgufFile) -> None:
    """Refuse a file that is no language model of a known architecture.

    Raises:
        ConversionError: saying what it is, and what to convert instead.
    """
    file, kind = gguf.path.name, str(gguf.fields.get("general.type", "model"))
    architecture = gguf.architecture
    if architecture == "clip":
        kind = "mmproj"
    if kind in KINDS:
        raise ConversionError(f"{file} is {KINDS[kind]}")
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConversionError(f"{file} is a {architecture} model, and GGUF is read for {known}: {INSTEAD}")
    for key, plain in PLAIN.items():
        value = gguf.fields.get(f"{architecture}.{key}")
        if value is not None and value not in plain:
            raise ConversionError(f"{file} has {architecture}.{key} = {value}, which is not known: {INSTEAD}")


def refuse_odd_heads(gguf: GgufFile, geometry: Geometry) -> None:
    """Refuse heads of unlike sizes, or of which RoPE turns only a part.

    Raises:
        ConversionError: naming the key.
    """
    for key in ("attention.value_length", "rope.dimension_count"):
        value = gguf.fields.get(f"{geometry.architecture}.{key}", geometry.head_size)
        if value != geometry.head_size:
            raise ConversionError(
                f"{gguf.path.name} has {geometry.architecture}.{key} = {value} and heads of "
                f"{geometry.head_size}, which is not known: {INSTEAD}"
            )
    if geometry.head_size % 2 or geometry.heads % geometry.kv_heads:
        raise ConversionError(
            f"{gguf.path.name} says {geometry.heads} heads of {geometry.head_size} and {geometry.kv_heads} "
            "for keys and values, which do not go together: download it again"
        )

"""Reads from a Hugging Face config.json whether and how a model can be converted."""

import json
from pathlib import Path
from typing import Any

from export.errors import ConversionError
from export.vision_recipes import RECIPES
from service.manifest import Task

CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
)
# Kinds whose layers carry a state from token to token. Those that mix such layers with attention in ways
# that differ by model list them (`layer_types`), and are judged by that list.
RECURRENT = frozenset(
    {
        "bamba",
        "falcon_h1",
        "falcon_mamba",
        "granitemoehybrid",
        "jamba",
        "lfm2",
        "lfm2_moe",
        "mamba",
        "mamba2",
        "nemotron_h",
        "qwen3_5_moe_text",
        "qwen3_5_text",
        "qwen3_next",
        "recurrent_gemma",
        "rwkv",
        "zamba",
        "zamba2",
    }
)


def read_config(folder: Path) -> dict[str, Any]:
    """The content of `folder`/config.json.

    Raises:
        ConversionError: when it is not a JSON object.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        raise ConversionError(f"{folder / 'config.json'} is not JSON ({error}): get it again") from error
    if not isinstance(config, dict):
        raise ConversionError(f"{folder / 'config.json'} is not a JSON object: get the model again")
    return config


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file; an empty one where there is no such file."""
    return json.loads(path.read_bytes()) if path.is_file() else {}


def find_task(config: dict[str, Any], model: str, wanted: Task | None = None) -> Task:
    """What the model is made for, before anything heavy happens.

    Raises:
        ConversionError: saying what the model is, when that can't be converted or is not `wanted`.
    """
    if config.get("model_type") in RECIPES:
        task: Task = "image-text-to-text"
    else:
        reason = _obstacle(config)
        if reason is not None:
            raise ConversionError(f"{model} {reason}")
        task = "text-generation"
    if wanted not in (None, task):
        raise ConversionError(f"{model} is made for {task}, not for {wanted}: leave --task out")
    return task


def context_length(config: dict[str, Any], model: str) -> int:
    """Tokens, prompt and answer together.

    Raises:
        ConversionError: when the description does not say.
    """
    text = config.get("text_config") or config.get("llm_config") or config
    for key in CONTEXT_KEYS:
        if isinstance(text.get(key), int):
            return int(text[key])
    raise ConversionError(f"{model}: config.json says no context length: add max_position_embeddings")


def eos_token_ids(generation: dict[str, Any], config: dict[str, Any], model: str) -> tuple[int, ...]:
    """The tokens that end an answer; the generation config speaks before the model's.

    Raises:
        ConversionError: when neither names one.
    """
    for source in (generation, config, config.get("text_config") or {}):
        value = source.get("eos_token_id")
        if value is not None:
            return tuple(int(token) for token in (value if isinstance(value, list) else [value]))
    raise ConversionError(f"{model} names no eos_token_id: add it to its generation_config.json")


def _obstacle(config: dict[str, Any]) -> str | None:
    architectures = config.get("architectures") or []
    if config.get("is_encoder_decoder"):
        return "is an encoder-decoder model, which is not supported: choose a decoder-only text model"
    if "vision_config" in config or any("ConditionalGeneration" in name for name in architectures):
        kind = config.get("model_type", "unnamed")
        return (
            f"is a vision-language model of the kind {kind}, which the engine does not serve: "
            f"choose one of {', '.join(RECIPES)}"
        )
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        kind = ", ".join(architectures) or "of no named architecture"
        return f"does not generate text (it is {kind}): choose a decoder-only text model"
    if _is_recurrent(config):
        return (
            f"has recurrent layers ({config.get('model_type', 'unnamed')}), whose state the engine does not "
            "keep from token to token, so that its answers would be wrong: choose a model of attention alone"
        )
    return None


def _is_recurrent(config: dict[str, Any]) -> bool:
    layers = config.get("layer_types") or config.get("layers_block_type")
    if layers:
        return any(kind == "linear_attention" or not kind.endswith("attention") for kind in layers)
    return config.get("model_type") in RECURRENT

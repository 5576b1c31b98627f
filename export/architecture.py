"""Reads from a Hugging Face config.json whether and how a model can be converted."""

import json
from pathlib import Path
from typing import Any

from export.errors import ConversionError

CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx")


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


def check_supported(config: dict[str, Any], model: str) -> None:
    """Refuse what can't be converted yet, before anything heavy happens.

    Raises:
        ConversionError: saying what the model is.
    """
    reason = _obstacle(config)
    if reason is not None:
        raise ConversionError(f"{model} {reason}: choose a decoder-only text model")


def context_length(config: dict[str, Any], model: str) -> int:
    """Tokens, prompt and answer together.

    Raises:
        ConversionError: when the description does not say.
    """
    for key in CONTEXT_KEYS:
        if isinstance(config.get(key), int):
            return int(config[key])
    raise ConversionError(f"{model}: config.json says no context length: add max_position_embeddings")


def eos_token_ids(generation: dict[str, Any], config: dict[str, Any], model: str) -> tuple[int, ...]:
    """The tokens that end an answer; the generation config speaks before the model's.

    Raises:
        ConversionError: when neither names one.
    """
    for source in (generation, config):
        value = source.get("eos_token_id")
        if value is not None:
            return tuple(int(token) for token in (value if isinstance(value, list) else [value]))
    raise ConversionError(f"{model} names no eos_token_id: add it to its generation_config.json")


def _obstacle(config: dict[str, Any]) -> str | None:
    architectures = config.get("architectures") or []
    if config.get("is_encoder_decoder"):
        return "is an encoder-decoder model, which is not supported"
    if "vision_config" in config or any("ConditionalGeneration" in name for name in architectures):
        return "is a vision-language model, which is not supported yet"
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures):
        kind = ", ".join(architectures) or "of no named architecture"
        return f"does not generate text (it is {kind})"
    return None

"""Tiny random models as Hugging Face folders; needs torch and transformers."""

import json
from pathlib import Path
from typing import Any

from tests.support.tiny import CHAT_TEMPLATE, END, tiny_tokenizer

SIZES = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def write_checkpoint(
    folder: Path, model_type: str = "llama", shard_size: str = "1GB", **changes: Any
) -> None:
    """Write a model of that type with random weights, a byte-level tokenizer and a chat template."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    end = tiny_tokenizer().token_to_id(END)
    config = AutoConfig.for_model(model_type, **SIZES | {"eos_token_id": end} | changes)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size=shard_size)
    write_tokenizer(folder)


def write_tokenizer(folder: Path) -> None:
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))

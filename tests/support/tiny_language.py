"""Writes language models of random weights: python -m tests.support.tiny_language FOLDER ARCHITECTURE...

Each folder is what the Hugging Face hub has for a real model of its architecture: configuration, weights,
tokenizer, chat template. Sizes are as small as the architecture, INT4 groups and the engine bear. The
weights are drawn so that every part of the model moves the logits, and what sets an architecture apart
(a window, a cap, a multiplier) is small enough to matter within a short text.
"""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.support.language_text import TEXT

END = "<|endoftext|>"
CONTEXT_LENGTH = 512
WINDOW = 16  # shorter than the texts of the tests
LOGIT_DEVIATION = 3.0  # the likeliest of 400 tokens then has a probability of a third or so
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

SIZES = MappingProxyType(
    {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT_LENGTH,
    }
)
ALTERNATING = ["sliding_attention", "full_attention"]

EXPERTS = MappingProxyType({"num_local_experts": 4, "num_experts_per_tok": 2})

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "llama": SIZES
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        "mistral": SIZES | {"head_dim": 16, "sliding_window": WINDOW},
        "mixtral": SIZES | EXPERTS,
        "qwen2": SIZES | {"tie_word_embeddings": True},
        "qwen3": SIZES | {"head_dim": 32},
        "qwen3_moe": SIZES
        | {
            "head_dim": 16,
            "moe_intermediate_size": 64,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "norm_topk_prob": True,
        },
        "phi": SIZES | {"num_key_value_heads": 4, "partial_rotary_factor": 0.5},
        "phi3": SIZES
        | {
            "sliding_window": WINDOW,
            "original_max_position_embeddings": 16,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "short_factor": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7],
                "long_factor": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
            },
        },
        "gemma2": SIZES
        | {
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": WINDOW,
            "layer_types": ALTERNATING,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 5.0,
        },
        "gemma3_text": SIZES
        | {
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": WINDOW,
            "layer_types": ALTERNATING,
        },
        "gpt_neox": SIZES | {"rotary_pct": 0.5},
        "gpt_oss": SIZES | EXPERTS | {"head_dim": 16, "sliding_window": WINDOW, "layer_types": ALTERNATING},
        "starcoder2": SIZES | {"sliding_window": WINDOW},
        "granite": SIZES
        | {
            "embedding_multiplier": 0.8,
            "attention_multiplier": 0.3,
            "residual_multiplier": 1.2,
            "logits_scaling": 2.0,
        },
        "olmo2": SIZES,
        "smollm3": SIZES | {"no_rope_layers": [1, 0]},
        "falcon": {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_kv_heads": 2,
            "new_decoder_architecture": True,
            "max_position_embeddings": CONTEXT_LENGTH,
        },
        "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "seq_length": CONTEXT_LENGTH},
    }
)
"""Each architecture's configuration, by its model type."""


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A small trained byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT_LENGTH,
    )
    fast.chat_template = TEMPLATE
    return fast


def write_tiny_language_model(architecture: str, folder: Path) -> None:
    """Write a whole Hugging Face folder; the same bytes each time."""
    torch.manual_seed(0)
    tokenizer = byte_level_tokenizer()
    end = tokenizer.eos_token_id
    config = AutoConfig.for_model(
        architecture,
        **ARCHITECTURES[architecture],
        vocab_size=len(tokenizer),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    draw_weights(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def draw_weights(model: torch.nn.Module) -> None:
    """Draw every weight anew: matrices that keep their input's size, norms and biases off their start."""
    head = model.get_output_embeddings().weight
    # Gemma multiplies its embeddings by the root of their size: a token's own logit would drown the others.
    deviation = LOGIT_DEVIATION / (2 if "gemma" in model.config.model_type else 1)
    for name, weight in model.named_parameters():
        if weight is head:
            weight.normal_(std=deviation / math.sqrt(weight.shape[-1]))
        elif "embed" in name or "wte" in name:
            weight.normal_()
        elif weight.ndim > 1:
            weight.normal_(std=1 / math.sqrt(weight.shape[-1]))
        else:
            weight.add_(torch.randn_like(weight), alpha=0.2)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        write_tiny_language_model(name, Path(sys.argv[1]) / name)

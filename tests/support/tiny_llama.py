"""A Llama with random weights, for conversions that are about everything else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path


def make_tiny_llama(folder: Path, tokenizer: Path) -> None:
    """A Llama of two layers with random weights and the default model's tokenizer."""
    script = (
        "import sys, torch\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "torch.manual_seed(0)\n"
        "config = LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, vocab_size=49152,\n"
        "    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,\n"
        "    bos_token_id=1, eos_token_id=2)\n"
        "LlamaForCausalLM(config).save_pretrained(sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, capture_output=True, timeout=120)
    for name in ("tokenizer.json", "chat_template.jinja"):
        shutil.copy(tokenizer / name, folder / name)
    special = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

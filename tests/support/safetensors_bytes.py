"""Writes safetensors files and repositories of a Llama whose weights mean nothing."""

import json
import random
import struct

LLAMA_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 512,
    "eos_token_id": 2,
}


def safetensors(tensors: dict[str, bytes]) -> bytes:
    """A file of byte tensors."""
    head, at = {}, 0
    for name, data in tensors.items():
        head[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensors.values())


def llama_files(weight_bytes: int = 1000) -> dict[str, bytes]:
    """What a repository of a small Llama holds."""
    weights = random.Random(0).randbytes(weight_bytes)
    return {
        "config.json": json.dumps(LLAMA_CONFIG).encode(),
        "tokenizer.json": b"{}",
        "README.md": b"---\nlicense: mit\n---\n",
        "model.safetensors": safetensors({"w": weights}),
    }

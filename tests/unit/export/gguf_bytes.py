"""Writes small GGUF files, by the format's own description."""

import struct
from math import prod
from typing import Any

MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w"]
TOKENS = [
    "<|end|>",
    "<|user|>",
    "h",
    "e",
    "l",
    "o",
    "w",
    "Ġ",
    "1",
    "2",
    "he",
    "ll",
    "hell",
    "hello",
    "Ġw",
    "!",
]
TOKEN_TYPES = [3, 4] + [1] * (len(TOKENS) - 2)
FIELDS: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 512,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.token_type": TOKEN_TYPES,
    "tokenizer.ggml.merges": MERGES,
    "tokenizer.ggml.eos_token_id": 0,
}


def gguf_bytes(
    fields: dict[str, Any], tensors: dict[str, list[int]] | None = None, version: int = 3
) -> bytes:
    tensors = tensors or {}
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    pairs = b"".join(_text(key) + _typed(value) for key, value in fields.items())
    infos = b"".join(
        _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0)
        for name, shape in tensors.items()
    )
    content = head + pairs + infos
    if not tensors:
        return content
    start = -(-len(content) // 32) * 32  # where the weights start: f32, one over the other
    return content.ljust(start, b"\0") + bytes(max(prod(shape) for shape in tensors.values()) * 4)


def _typed(value: Any) -> bytes:
    kind, content = _value(value)
    return struct.pack("<I", kind) + content


def _value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        return 8, _text(value)
    kinds = [_value(item) for item in value]
    return 9, struct.pack("<IQ", kinds[0][0], len(value)) + b"".join(content for _, content in kinds)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded

"""What a decoder model reads and computes for each token; pure."""

from dataclasses import dataclass

from benchmarks.errors import BenchmarkError

# A scale and a zero point in f32 for each head of each token, as the CPU's paged attention keeps them.
_QUANTISED_HEAD_BYTES = 8
_KV_ELEMENT_BYTES = {"u4": 0.5, "u8": 1.0, "i8": 1.0, "f16": 2.0, "bf16": 2.0, "f32": 4.0}
_QUANTISED = ("u4", "u8", "i8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """What the graph asks for; a multiplication with its addition is two FLOPs.

    weight_bytes: constants that a decode step reads whole, with scales and zero points; `lm_head_bytes` is a
    part of it, an embedding table only where lm_head shares it. embedding_row_bytes: one token's row of other
    tables. layer_flops: of one token in all matrices but lm_head. attention_flops: of one token looking at
    one token. kv_elements, kv_heads: of one token in the KV cache, keys and values of all layers.
    """

    weight_bytes: int
    lm_head_bytes: int
    embedding_row_bytes: int
    layer_flops: int
    lm_head_flops: int
    attention_flops: int
    kv_elements: int
    kv_heads: int

    def kv_bytes(self, precision: str) -> float:
        """Bytes of one token in the KV cache of this precision (u8, f16, ...).

        Raises:
            BenchmarkError: the precision is unknown.
        """
        if precision not in _KV_ELEMENT_BYTES:
            raise BenchmarkError(f"unknown KV_CACHE_PRECISION: {precision}")
        scales = self.kv_heads * _QUANTISED_HEAD_BYTES if precision in _QUANTISED else 0
        return self.kv_elements * _KV_ELEMENT_BYTES[precision] + scales

    def decode_bytes(self, context_tokens: int, precision: str) -> float:
        """Bytes that one step of one request reads, with so many tokens in the cache. Raises: as kv_bytes."""
        return self.weight_bytes + self.embedding_row_bytes + context_tokens * self.kv_bytes(precision)

    def decode_flops(self, context_tokens: int) -> int:
        """FLOPs of one step of one request."""
        return self.layer_flops + self.lm_head_flops + context_tokens * self.attention_flops

    def prefill_flops(self, prompt_tokens: int) -> int:
        """FLOPs until the first token: causal attention, lm_head for the last token alone."""
        pairs = prompt_tokens * (prompt_tokens + 1) // 2
        return prompt_tokens * self.layer_flops + self.lm_head_flops + pairs * self.attention_flops

"""Estimates the memory that serving a model takes."""

from dataclasses import dataclass

from export.recipe import Recipe
from export.shape import Shape

# What the service's two processes take beside weights and cache: see docs/export.md, Memory.
OVERHEAD_BYTES = 700_000_000
SCALE_BYTES = 8  # of each key and each value: a scale and a zero point in f32, where the cache is u8
WEIGHT_BYTES = {"int8": 1.0, "int8-sym": 1.0, "fp8": 1.0, "fp16": 2.0, "bf16": 2.0}
GROUP_BYTES = 2.5  # of each INT4 group: a scale in f16 and a zero point of 4 bits

FORMULA = (
    "memory = weights + concurrency x max total tokens x cache bytes per token + 0.7 GB; "
    "weights = parameters x 1 byte (INT8), x 2 (FP16, BF16), x (0.5 + 2.5 / group size) (INT4, embedding and "
    "last layer x 1); cache bytes per token = 2 x layers x KV heads x (head size + 8) in u8, "
    "x 2 x head size in 16 bits"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingNeed:
    """Bytes, and what they are for."""

    weights: int
    cache_per_token: int
    tokens: int
    overhead: int = OVERHEAD_BYTES

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache_per_token * self.tokens + self.overhead


def serving_need(shape: Shape, recipe: Recipe, *, max_total: int, concurrency: int) -> ServingNeed | None:
    """What `concurrency` requests of `max_total` tokens at once take; None where a number is missing."""
    weights = weight_bytes(shape, recipe)
    cached = cache_bytes_per_token(shape, recipe)
    if weights is None or cached is None:
        return None
    return ServingNeed(weights=weights, cache_per_token=cached, tokens=max_total * concurrency)


def weight_bytes(shape: Shape, recipe: Recipe) -> int | None:
    """The converted weights; of INT4 the upper bound where the embedding's part is not known."""
    if shape.parameters is None:
        return None
    if recipe.unpacked_on_device:
        return 2 * shape.parameters
    is_vllm = recipe.engine == "vllm"  # which keeps embedding and last layer in 16 bits
    if not recipe.is_int4:
        kept = shape.embedding_parameters or 0 if is_vllm and recipe.weights == "fp8" else 0
        return int(shape.parameters * WEIGHT_BYTES[recipe.weights]) + kept
    # Of a model whose embedding is not known, a fifth is taken for it: more than 1B-models have.
    in_int8 = shape.embedding_parameters or shape.parameters // 5
    rest = max(0, shape.parameters - in_int8)
    in_int8 += int(rest * (1 - recipe.ratio))
    in_int4 = shape.parameters - in_int8
    return int(in_int8 * (2 if is_vllm else 1) + in_int4 * (0.5 + GROUP_BYTES / recipe.group_size))


def cache_bytes_per_token(shape: Shape, recipe: Recipe) -> int | None:
    """Keys and values of one token: u8 where the recipe's hint says so, 16 bits else."""
    numbers = shape.cached_numbers_per_token
    if numbers is None or shape.head_size is None:
        return None
    if recipe.hints.get("KV_CACHE_PRECISION") == "u8":
        return numbers // shape.head_size * (shape.head_size + SCALE_BYTES)
    return 2 * numbers

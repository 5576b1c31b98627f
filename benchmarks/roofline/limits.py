"""What the machine would allow, and how much of it is reached; pure."""

from dataclasses import dataclass

from benchmarks.roofline.cost import ModelCost

_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How fast this machine multiplies matrices, all usable cores together.

    The first three are by kind of number; engine_flops_per_s: of INT8 weights as the engine is configured.
    cached_bytes_per_s: reading a buffer that stays in the caches.
    """

    f32_flops_per_s: float
    bf16_flops_per_s: float
    int8_flops_per_s: float
    engine_flops_per_s: float
    cached_bytes_per_s: float

    @property
    def best_flops_per_s(self) -> float:
        """The fastest that was seen."""
        return max(
            self.f32_flops_per_s, self.bf16_flops_per_s, self.int8_flops_per_s, self.engine_flops_per_s
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySpeed:
    """How fast memory was read around a measurement.

    weight_bytes_per_s: INT8 weights that OpenVINO multiplies one token with, as the engine is configured.
    """

    read_bytes_per_s: float
    weight_bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Times of the same work: the machine's limit, with OpenVINO's multiplication alone, and measured."""

    limit_s: float
    kernel_s: float
    measured_s: float
    bound_by: str

    @property
    def reached(self) -> float:
        """The part of the limit that is reached."""
        return self.limit_s / self.measured_s


def compare_decode(
    cost: ModelCost,
    machine: Machine,
    memory: MemorySpeed,
    *,
    context_tokens: int,
    kv_precision: str,
    measured_s: float,
) -> Comparison:
    """Compare a decode step of one request with the machine. Raises: as ModelCost.kv_bytes."""
    step_bytes = cost.decode_bytes(context_tokens, kv_precision)
    memory_s = step_bytes / memory.read_bytes_per_s
    compute_s = cost.decode_flops(context_tokens) / machine.best_flops_per_s
    limit_s = max(memory_s, compute_s)
    return Comparison(
        limit_s=limit_s,
        kernel_s=max(limit_s, step_bytes / memory.weight_bytes_per_s),
        measured_s=measured_s,
        bound_by="memory" if memory_s >= compute_s else "computing",
    )


def compare_prefill(
    cost: ModelCost, machine: Machine, memory: MemorySpeed, *, prompt_tokens: int, measured_s: float
) -> Comparison:
    """Compare a prompt's time to its first token with the machine: it reads the weights once, at least."""
    flops = cost.prefill_flops(prompt_tokens)
    compute_s = flops / machine.best_flops_per_s
    memory_s = cost.weight_bytes / memory.read_bytes_per_s
    limit_s = max(memory_s, compute_s)
    return Comparison(
        limit_s=limit_s,
        kernel_s=max(limit_s, flops / machine.engine_flops_per_s),
        measured_s=measured_s,
        bound_by="memory" if memory_s >= compute_s else "computing",
    )


def next_limit(decode: Comparison) -> str:
    """Say in plain words where the time of a decode step goes beyond its limit."""
    total_s = decode.measured_s
    kernel_s = max(0.0, min(decode.kernel_s, total_s) - decode.limit_s)
    rest_s = max(0.0, total_s - decode.kernel_s)
    parts = (
        f"Of {total_s * _MS:.2f} ms a token, {decode.limit_s / total_s:.0%} is the limit set by "
        f"{decode.bound_by}, {kernel_s / total_s:.0%} what OpenVINO's multiplication of one token with INT8 "
        f"weights takes beyond it, {rest_s / total_s:.0%} the rest of the engine."
    )
    if kernel_s > rest_s:
        return f"{parts} Next limit: that multiplication; other weight formats or properties change it."
    return (
        f"{parts} Next limit: the hundreds of operations of a step, small multiplications among "
        "them, between which cores wait for each other: see --profile. A larger model feels them less."
    )

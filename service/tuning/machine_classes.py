"""The engine properties that are shipped for each class of CPU, used where nothing was tuned."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# No bfloat16 activations; instead they are quantised to 8 bits on the fly, in groups of 64, and meet the
# weights as integers.
_FLOAT32_GROUPS_64: Mapping[str, str] = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineClass:
    """CPUs that have all of `flags`; `reason` says what is known of the properties there."""

    name: str
    flags: frozenset[str]
    properties: Mapping[str, str]
    reason: str


# The first whose flags a machine has is its class.
CPU_CLASSES = (
    MachineClass(
        name="AMX",
        flags=frozenset({"amx_tile"}),
        properties=_FLOAT32_GROUPS_64,
        reason="on 2 cores of a Xeon with AMX, SmolLM2-135M INT8, tokens/s against the engine's own bf16: "
        "97 for 59 with one request, 1354 for 1404 with 64; of a 1.5B model 13.7 for 6.2, and 176 for 188. "
        "On another such machine 1.32 times with one, 0.92 with 64: docs/tuning.md",
    ),
    MachineClass(
        name="AVX-512 VNNI",
        flags=frozenset({"avx512_vnni"}),
        properties=_FLOAT32_GROUPS_64,
        reason="on 2 cores of an AMD EPYC with AVX-512 VNNI and BF16: docs/tuning.md has the figures",
    ),
    MachineClass(
        name="AVX2",
        flags=frozenset(),
        properties=_FLOAT32_GROUPS_64,
        reason="on 2 cores of an AMD EPYC with AVX2 alone the engine computes in float32 whatever these say: "
        "docs/tuning.md has the figures. With AVX-VNNI, not measured, it takes the groups",
    ),
)


def cpu_class(flags: Collection[str]) -> MachineClass:
    """The class of a machine whose CPU has `flags`, as the kernel names them."""
    return next(one for one in CPU_CLASSES if one.flags <= set(flags))


def shipped_properties(device: str, flags: Collection[str]) -> dict[str, str]:
    """What is set for a device where nobody chose: nothing, unless it is the CPU."""
    return dict(cpu_class(flags).properties) if device == "CPU" else {}

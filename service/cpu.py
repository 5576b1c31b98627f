"""Describes the processor of this machine, as the kernel tells it."""

import platform
from dataclasses import dataclass, replace
from pathlib import Path

ISA_FLAGS = (
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx2",
    "avx_vnni",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The processor; `flags` are those of `ISA_FLAGS` that it has."""

    model: str
    vendor: str
    flags: tuple[str, ...]
    physical_cores: int
    logical_cores: int
    numa_nodes: int


def read_cpu(*, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Cpu:
    """Read the processor's description from the kernel's files."""
    processors = [_fields(block) for block in _text(proc / "cpuinfo").split("\n\n") if block.strip()]
    processors = [fields for fields in processors if "processor" in fields]
    first = processors[0] if processors else {}
    flags = set(first.get("flags", "").split())
    cores = {(fields.get("physical id"), fields.get("core id", fields["processor"])) for fields in processors}
    return Cpu(
        model=first.get("model name") or platform.machine() or "unknown",
        vendor=first.get("vendor_id", "unknown"),
        flags=tuple(flag for flag in ISA_FLAGS if flag in flags),
        physical_cores=max(1, len(cores)),
        logical_cores=max(1, len(processors)),
        numa_nodes=max(1, len(list((sys / "devices/system/node").glob("node[0-9]*")))),
    )


def within(cpu: Cpu, cpus: int) -> Cpu:
    """The processor as a process sees it that may use `cpus` of its logical cores."""
    return replace(
        cpu,
        physical_cores=max(1, min(cpu.physical_cores, cpus)),
        logical_cores=max(1, min(cpu.logical_cores, cpus)),
    )


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""

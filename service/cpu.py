"""Describes the processor of this machine, as the kernel tells it, or the part that a process may use."""

import platform
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from service.control_groups import CGROUP, PROC, control_groups, number_in, text_of

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


def read_cpu(*, allowed: Collection[int] | None = None, proc: Path = PROC, sys: Path = Path("/sys")) -> Cpu:
    """Read the processor's description from the kernel's files.

    allowed: the numbers of the logical cores to count; all when None. Two hyper-threads are one core.
    """
    processors = [_fields(block) for block in text_of(proc / "cpuinfo").split("\n\n") if block.strip()]
    processors = [fields for fields in processors if "processor" in fields]
    first = processors[0] if processors else {}
    flags = set(first.get("flags", "").split())
    counted = [one for one in processors if allowed is None or int(one["processor"]) in allowed]
    cores = {(fields.get("physical id"), fields.get("core id", fields["processor"])) for fields in counted}
    nodes = (sys / "devices/system/node").glob("node[0-9]*")
    return Cpu(
        model=first.get("model name") or platform.machine() or "unknown",
        vendor=first.get("vendor_id", "unknown"),
        flags=tuple(flag for flag in ISA_FLAGS if flag in flags),
        physical_cores=max(1, len(cores)),
        logical_cores=max(1, len(counted)),
        numa_nodes=max(1, sum(allowed is None or _has_one_of(node, allowed) for node in nodes)),
    )


def read_cpu_quota(*, proc: Path = PROC, cgroup: Path = CGROUP) -> float | None:
    """The CPUs' worth of time that the control groups allow, the tightest; None where none sets a limit.

    Version 2 has `cpu.max`, "quota period" in microseconds or "max period"; version 1 a file for each, with
    the quota -1 for none.
    """
    quotas = []
    for version, folder in control_groups("cpu", proc=proc, cgroup=cgroup):
        if version == 2:
            quota, _, period = text_of(folder / "cpu.max").strip().partition(" ")
        else:
            quota, period = (str(number_in(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _has_one_of(node: Path, allowed: Collection[int]) -> bool:
    """Whether a NUMA node, whose `cpulist` is like `0-3,8`, has one of these logical cores."""
    for part in text_of(node / "cpulist").strip().split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and any(int(first) <= one <= int(last or first) for one in allowed):
            return True
    return False


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}

"""How much memory this process may use, the limit of its control group included."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.control_groups import CGROUP, PROC, control_groups, number_in, text_of

# Version 1 writes "no limit" as 2**63 rounded down to a page; nothing real comes near.
_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The machine's memory, what is free for this process, and the limit it lives under.

    `cgroup_limit_bytes` is the tightest limit of its control groups, None where there is none.
    `available_bytes` honours that limit too.
    """

    total_bytes: int
    available_bytes: int
    cgroup_limit_bytes: int | None

    @property
    def ceiling_bytes(self) -> int:
        """The most that this process could ever use."""
        return min(self.total_bytes, self.cgroup_limit_bytes or self.total_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """The file names of a version of the control groups."""

    limit: str
    usage: str
    reclaimable: str


_V1 = _Version(
    limit="memory.limit_in_bytes", usage="memory.usage_in_bytes", reclaimable="total_inactive_file"
)
_V2 = _Version(limit="memory.max", usage="memory.current", reclaimable="inactive_file")
_VERSIONS = {1: _V1, 2: _V2}


def memory_limit_bytes(*, proc: Path = PROC, cgroup: Path = CGROUP) -> int:
    """Bytes this process may still take: what the machine has available, within its control groups."""
    return read_memory(proc=proc, cgroup=cgroup).available_bytes


def read_memory(*, proc: Path = PROC, cgroup: Path = CGROUP) -> Memory:
    """Read the machine's memory and the control groups' limits; files that are absent limit nothing."""
    total, available = _machine(proc)
    limits = list(_limits(proc, cgroup))
    return Memory(
        total_bytes=total,
        available_bytes=max(0, min([available, *(limit - used for limit, used in limits)])),
        cgroup_limit_bytes=min((limit for limit, _ in limits), default=None),
    )


def _machine(proc: Path) -> tuple[int, int]:
    fields = _fields(proc / "meminfo")
    if "MemTotal" not in fields or "MemAvailable" not in fields:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    return fields["MemTotal"] * 1024, fields["MemAvailable"] * 1024


def _limits(proc: Path, cgroup: Path) -> Iterator[tuple[int, int]]:
    """Give (limit, used), in bytes, of every control group above this process that has a limit."""
    for number, folder in control_groups("memory", proc=proc, cgroup=cgroup):
        version = _VERSIONS[number]
        limit = number_in(folder / version.limit)
        if limit is not None and limit < _UNLIMITED:
            # Cached file pages count as used, but make way before the limit bites.
            reclaimable = _fields(folder / "memory.stat").get(version.reclaimable, 0)
            yield limit, max(0, (number_in(folder / version.usage) or 0) - reclaimable)


def _fields(path: Path) -> dict[str, int]:
    """Read lines such as `MemTotal:  16 kB` or `inactive_file 4096`."""
    words = (line.replace(":", " ").split() for line in text_of(path).splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}

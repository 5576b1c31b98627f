"""Checks that a conversion fits this machine before it starts."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from export.errors import ConversionError
from service.manifest import WeightFormat

BYTES_PER_WEIGHT: dict[WeightFormat, float] = {
    "int8": 1.05,
    "int8-sym": 1.05,
    "int4": 0.75,
    "fp16": 2.0,
    "bf16": 2.0,
    "fp8": 1.05,
}
RUNTIME_BYTES = 700_000_000  # interpreter and libraries: the default model peaks at 0.93 GiB, estimated 1.4
CALIBRATION_BYTES = 700_000_000
GIB = 1 << 30
CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes that a conversion takes at its peak."""

    disk: int
    memory: int


def gguf_need(
    *, parameter_count: int, largest_tensor: int, weights: WeightFormat, is_calibrated: bool = False
) -> Need:
    """The need of a GGUF conversion, in bytes.

    On disk: the f16 weights twice, as unpacked and as written for compression; the first are gone
    when the output comes, which is smaller. In memory: the f16 weights as compression reads them, the
    output, and the biggest weight in f32 twice (a value and its product).
    """
    output = int(parameter_count * BYTES_PER_WEIGHT[weights])
    memory = RUNTIME_BYTES + 2 * parameter_count + output + 8 * largest_tensor
    memory += calibration_bytes(parameter_count) if is_calibrated else 0
    return Need(disk=4 * parameter_count, memory=memory)


def folder_need(*, weight_bytes: int, weights: WeightFormat, is_calibrated: bool = False) -> Need:
    """The need of a conversion through torch: the 16-bit weights as loaded, traced, and the output."""
    output = int(weight_bytes / 2 * BYTES_PER_WEIGHT[weights])
    memory = RUNTIME_BYTES * 2 + 2 * weight_bytes + output
    memory += calibration_bytes(weight_bytes // 2) if is_calibrated else 0
    return Need(disk=weight_bytes + output, memory=memory)


def calibration_bytes(parameter_count: int) -> int:
    """What calibration takes beside: the model compiled in f32, and what its layers saw."""
    return 4 * parameter_count + CALIBRATION_BYTES


def check_resources(need: Need, folder: Path) -> None:
    """Compare `need` with what `folder`'s disk and this process's memory have left.

    Raises:
        ConversionError: naming need, have and what to do.
    """
    require(need, disk=shutil.disk_usage(folder).free, memory=available_memory(), folder=folder)


def require(need: Need, *, disk: int, memory: int, folder: Path) -> None:
    """Compare `need` with what there is, in bytes.

    Raises:
        ConversionError: naming need, have and what to do.
    """
    if need.disk > disk:
        raise ConversionError(
            f"the conversion needs {readable(need.disk)} of disk under {folder} and {readable(disk)} are free"
            ": free some, or choose another --output"
        )
    if need.memory > memory:
        raise ConversionError(
            f"the conversion needs {readable(need.memory)} of memory and {readable(memory)} are available: "
            "end other programs, or convert on a bigger machine and copy the folder"
        )


def available_memory() -> int:
    """Bytes this process may still take: the machine's, or its control group's where that is less."""
    import psutil

    available = int(psutil.virtual_memory().available)
    return min([available, *_cgroup_rooms()])


def readable(count: int) -> str:
    """Bytes for a person to read."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count >> 20} MiB"


def _cgroup_rooms(root: Path = CGROUPS, membership: Path = MEMBERSHIP) -> list[int]:
    """What each control group (v2) above this process still allows; page cache counts as free."""
    try:
        path = next(line[3:] for line in membership.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    group = root / path.strip().lstrip("/")
    rooms = []
    for folder in [group, *group.parents]:
        try:
            limit, used = (folder / "memory.max").read_text(), (folder / "memory.current").read_text()
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if limit.strip() != "max":
            rooms.append(int(limit) - int(used) + int(stat.get("inactive_file", 0)))
    return rooms

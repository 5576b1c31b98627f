"""Finds the control groups that this process is in, with the limits it lives under."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")

Version = Literal[1, 2]


def control_groups(controller: str, *, proc: Path, cgroup: Path) -> Iterator[tuple[Version, Path]]:
    """The folders of the groups that may limit what `controller` controls, and of all above them."""
    for line in text_of(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from ((2, folder) for folder in _upwards(cgroup, path))
        elif controller in controllers.split(","):
            yield from ((1, folder) for folder in _upwards(cgroup / controller, path))


def number_in(path: Path) -> int | None:
    """The one number that a file holds; None where it is absent, or holds something else, such as `max`."""
    text = text_of(path).strip()
    return int(text) if text.isdecimal() else None


def text_of(path: Path) -> str:
    """What one of the kernel's files holds; nothing where it is absent."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Give the group's folder and those above it.

    In a container the path may be the host's, of which only the root is mounted: folders that
    aren't there are no matter, and a path that leads out (`/../..`) stands for the root.
    """
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        parts = []
    for length in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:length])

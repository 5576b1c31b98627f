"""A small file system in memory, for tests of a full disk."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount it at `folder`; the test is skipped where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = (
        subprocess.run(command, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    )
    if mounted is None or mounted.returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here: run as root with CAP_SYS_ADMIN")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, room_bytes: int) -> Path:
    """Leave no more than `room_bytes` on the file system of `folder`."""
    path = folder / "filler"
    with path.open("wb") as file:
        while True:
            status = os.statvfs(folder)
            size = path.stat().st_size + status.f_bavail * status.f_frsize - room_bytes
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, size))
            except OSError:  # others write there too: there is less than a moment ago
                continue
            return path

"""A disk that fills up: one line, and nothing left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.full_disk import fill, small_disk
from tests.support.hub_server import Repository, running_hub
from tests.support.kill_conversions import ROOT, default_gguf
from tests.support.safetensors_bytes import llama_files

MIB = 1 << 20
CONVERT = ROOT / "export" / "convert.py"


@pytest.fixture(scope="module")
def gguf() -> Path:
    return default_gguf(ROOT / ".cache" / "gguf")


def start(*arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(CONVERT), *map(str, arguments)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def last_line(process: "subprocess.Popen[str]") -> str:
    printed, said = process.communicate(timeout=200)
    assert process.returncode == 1, said
    assert printed == ""
    assert "Traceback" not in said
    return said.splitlines()[-1]


def wait_until(process: "subprocess.Popen[str]", happened: Callable[[], bool]) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("room_mib", [1, 120])  # at once, and where the output of 140 MiB is saved
def test_a_disk_that_fills_up_while_converting(tmp_path: Path, gguf: Path, room_mib: int) -> None:
    with small_disk(tmp_path / "disk", "700m") as disk:
        process = start(gguf, "--output", disk / "out")
        wait_until(process, lambda: len(list(disk.glob(".out.partial/**/*"))) > 1)  # past the first check
        filler = fill(disk, room_mib * MIB)
        said = last_line(process)
        assert f"the disk under {disk} is full" in said or f"MiB under {disk} " in said
        assert said.endswith("free some, or choose another --output")
        assert list(disk.iterdir()) == [filler]


def test_a_disk_that_is_too_small_from_the_start(tmp_path: Path, gguf: Path) -> None:
    with small_disk(tmp_path / "disk", "50m") as disk:
        said = last_line(start(gguf, "--output", disk / "out"))
        assert "of disk under" in said
        assert "free some, or choose another --output" in said
        assert list(disk.iterdir()) == []


def test_a_full_temporary_folder_is_not_in_the_way(tmp_path: Path, gguf: Path) -> None:
    """Everything big is written beside the output, on the disk that was checked."""
    with small_disk(tmp_path / "tmp", "1m") as disk:
        fill(disk, 4096)
        process = start(gguf, "--no-verify", "--output", tmp_path / "out", TMPDIR=str(disk))
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said
        assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_hub_cache_on_a_disk_that_fills_up(tmp_path: Path) -> None:
    pytest.importorskip("optimum", reason="optimum-intel is not installed: pip install '.[export]'")
    with running_hub() as hub, small_disk(tmp_path / "home", "60m") as disk:
        hub.repositories["org/name"] = Repository(
            files=llama_files(40 * MIB), slow={"model.safetensors": 0.05}
        )
        process = start("org/name", "--output", tmp_path / "out", **hub.environment(disk))
        wait_until(
            process, lambda: any(path.stat().st_size > MIB for path in disk.glob("hub/*/blobs/*.incomplete"))
        )
        fill(disk, MIB)
        said = last_line(process)
        assert "the hub's cache" in said
        assert "No space left on device" in said
        assert "set HF_HOME to a folder on a disk with room" in said
        assert not (tmp_path / "out").exists()

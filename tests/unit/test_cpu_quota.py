"""The CPU quota of the control groups that a process is in."""

from pathlib import Path

import pytest

from service.cpu import read_cpu_quota


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_cpu_quota_is_the_tightest_of_version_2(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/slice/unit")
    write(tmp_path / "cgroup/slice/cpu.max", "150000 100000")
    write(tmp_path / "cgroup/slice/unit/cpu.max", "max 100000")
    assert read_cpu_quota(proc=tmp_path / "proc", cgroup=tmp_path / "cgroup") == 1.5


@pytest.mark.parametrize(("quota", "expected"), [(200000, 2.0), (-1, None)])
def test_cpu_quota_of_version_1(tmp_path: Path, quota: int, expected: float | None) -> None:
    write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n3:memory:/x")
    write(tmp_path / "cgroup/cpu/cpu.cfs_quota_us", quota)
    write(tmp_path / "cgroup/cpu/cpu.cfs_period_us", 100000)
    assert read_cpu_quota(proc=tmp_path / "proc", cgroup=tmp_path / "cgroup") == expected


def test_without_control_groups_there_is_no_cpu_quota(tmp_path: Path) -> None:
    assert read_cpu_quota(proc=tmp_path / "proc", cgroup=tmp_path / "cgroup") is None

"""Writes what was measured, with all that the numbers depend on, as versioned JSON."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from export.checksum import file_sha256
from service.doctor import read_cpu
from service.engine.config import EngineConfig
from service.manifest import FILE_NAME, read_manifest
from service.memory import read_memory

SCHEMA_VERSION = 2
_READABLE = (1, SCHEMA_VERSION)
PACKAGES = (
    "tiber-serve",
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "tokenizers",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
)
_GIT_TIMEOUT_S = 10.0
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and the software of a run, seen before it. `git_revision` is None outside a checkout.

    `governor` is None where the kernel does not scale the frequency, as in most virtual machines. Memory
    bandwidth is there where the run measured it.
    """

    cpu_model: str
    cpu_flags: tuple[str, ...]
    physical_cores: int
    usable_cores: int
    memory_bytes: int
    load_average_1_min: float
    kernel: str
    python: str
    packages: Mapping[str, str]
    git_revision: str | None
    has_uncommitted_changes: bool | None
    governor: str | None = None
    numa_nodes: int | None = None
    threads_per_core: int | None = None
    memory_bandwidth_bytes_per_s: float | None = None


def read_environment(*, with_bandwidth: bool = False) -> Environment:
    """Look at this machine.

    `with_bandwidth` measures that of memory, with all cores and for less than two seconds: to be done before
    a server starts.
    """
    cpu = read_cpu()
    status = _git("status", "--porcelain")
    return Environment(
        cpu_model=cpu.model,
        cpu_flags=cpu.flags,
        physical_cores=cpu.physical_cores,
        usable_cores=len(os.sched_getaffinity(0)),
        memory_bytes=read_memory().total_bytes,
        load_average_1_min=os.getloadavg()[0],
        kernel=platform.release(),
        python=platform.python_version(),
        packages=_versions(),
        git_revision=_git("rev-parse", "HEAD"),
        has_uncommitted_changes=None if status is None else bool(status),
        governor=_governor(),
        numa_nodes=cpu.numa_nodes,
        threads_per_core=max(1, cpu.logical_cores // cpu.physical_cores),
        memory_bandwidth_bytes_per_s=_bandwidth_bytes_per_s() if with_bandwidth else None,
    )


def make_record(
    *,
    kind: str,
    environment: Environment,
    settings: Mapping[str, object],
    results: object,
    model: Path | None = None,
    engine: EngineConfig | None = None,
) -> dict[str, Any]:
    """Put a record together; `results` is a dataclass. Local paths stay out of it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": asdict(environment),
        "manifest": read_manifest(model).model_dump(mode="json") if model else None,
        "manifest_sha256": file_sha256(model / FILE_NAME) if model else None,
        "engine": {**asdict(engine), "model_path": Path(engine.model_path).name} if engine else None,
        "settings": dict(settings),
        "results": asdict(results),  # type: ignore[call-overload]  # any dataclass will do
    }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def read_record(path: Path) -> dict[str, Any]:
    """Read a record of this schema's version or an earlier one; what those did not tell is None.

    Raises:
        BenchmarkError: it is no record, or a later version's.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        known = record["schema_version"] in _READABLE
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} is no record of a benchmark: {error}") from error
    if not known:
        raise BenchmarkError(f"{path} has schema version {record['schema_version']}; readable: {_READABLE}")
    told = {field.name: None for field in fields(Environment)} | record["environment"]
    return {"manifest_sha256": None, **record, "environment": told}


def _bandwidth_bytes_per_s() -> float:
    # Late: it loads the model runtime.
    from benchmarks.roofline.bandwidth import read_bandwidth_bytes_per_s

    return read_bandwidth_bytes_per_s()


def _governor() -> str | None:
    try:
        return _GOVERNOR.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - whichever git is on the path
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"no git revision in the record: {error}", file=sys.stderr)
        return None
    return done.stdout.strip()

"""Names what a tuning holds for: this CPU, this model, these versions, this device."""

import hashlib
import os
from importlib import metadata
from pathlib import Path

import pydantic

from service.cpu import read_cpu, read_cpu_quota
from service.manifest import FILE_NAME

_PACKAGES = ("openvino", "openvino-genai")
# Of each file of weights its size and so many pieces of it: gigabytes would take the service's start seconds.
_PIECES, _PIECE_BYTES = 16, 64 * 2**10


class TuningKey(pydantic.BaseModel):
    """A tuning is used where every field is the same.

    cpu_flags: its instructions, since virtual machines call different CPUs by one name. cpus: those that this
    process may use. cpu_quota: the CPUs' worth of time that its control groups allow, None for no limit.
    model_sha256: see `model_sha256`.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    cpu_model: str
    cpu_flags: tuple[str, ...] = ()
    cpus: int
    cpu_quota: float | None = None
    device: str
    model_sha256: str
    versions: dict[str, str]

    def difference(self, here: "TuningKey") -> str | None:
        """The first thing that is another `here`, in words; None when all is the same."""
        if self.cpu_model != here.cpu_model:
            return f"it is for another CPU ({self.cpu_model}; here {here.cpu_model})"
        if self.cpu_flags != here.cpu_flags:
            return f"it is for a CPU with {_named(self.cpu_flags)}; here is {_named(here.cpu_flags)}"
        if self.cpus != here.cpus:
            return f"it is for {self.cpus} CPUs, here are {here.cpus}"
        if self.cpu_quota != here.cpu_quota:
            return f"it is for {_quota(self.cpu_quota)}, here is {_quota(here.cpu_quota)}"
        if self.device != here.device:
            return f"it is for device {self.device}, here {here.device}"
        if self.model_sha256 != here.model_sha256:
            return "the model changed"
        if self.versions != here.versions:
            return f"it is for other versions ({_listed(self.versions)}; here {_listed(here.versions)})"
        return None


def tuning_key(folder: Path, device: str) -> TuningKey:
    """The key of the model in `folder` on `device` of this machine, with the software that is installed."""
    cpu = read_cpu()
    return TuningKey(
        cpu_model=cpu.model,
        cpu_flags=tuple(sorted(cpu.flags)),
        cpus=len(os.sched_getaffinity(0)),
        cpu_quota=read_cpu_quota(),
        device=device,
        model_sha256=model_sha256(folder),
        versions={name: _version(name) for name in _PACKAGES},
    )


def model_sha256(folder: Path) -> str:
    """A hash of what the model computes.

    It covers the manifest, each graph (`*.xml`) whole, and of each file of weights (`*.bin`) its size and 16
    pieces of 64 KiB that are spread evenly over it: a few milliseconds, whatever the model's size.
    """
    digest = hashlib.sha256()
    for path in sorted([folder / FILE_NAME, *folder.glob("*.xml"), *folder.glob("*.bin")]):
        if path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            _add(path, digest)
    return digest.hexdigest()


def _add(path: Path, digest: "hashlib._Hash") -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if path.suffix != ".bin" or size <= _PIECES * _PIECE_BYTES:
            digest.update(file.read())
            return
        for index in range(_PIECES):
            file.seek((size - _PIECE_BYTES) * index // (_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _named(flags: tuple[str, ...]) -> str:
    return ", ".join(flags) or "no instructions named"


def _quota(cpus: float | None) -> str:
    return "no CPU quota" if cpus is None else f"a quota of {cpus:g} CPUs"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))

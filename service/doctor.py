"""Examines this machine: what serving depends on, what is wrong, how to mend it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cpu import ISA_FLAGS as ISA_FLAGS
from service.cpu import Cpu as Cpu
from service.cpu import read_cpu as read_cpu
from service.errors import ModelFolderError
from service.manifest import FILE_NAME, read_manifest
from service.memory import Memory, read_memory

NEEDED_PACKAGES = ("openvino", "openvino-genai", "openvino-tokenizers", "tokenizers", "fastapi", "uvicorn")
OPTIONAL_PACKAGES = ("tiber-serve", "nncf")
LEAST_MEMORY_BYTES = 2 << 30
HL_SMI_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What one runtime sees: descriptions of its devices, or why it could not be asked."""

    names: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A folder that holds a converted model, or whose manifest is broken as `error` says.

    `launch` is the command for a model of an engine that is not part of this service.
    """

    folder: Path
    summary: str = ""
    error: str | None = None
    launch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the operator should know; for a problem, `remedy` says how to mend it."""

    message: str
    is_problem: bool
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was seen. `gaudi` is None without hl-smi; a package that is not installed has version None."""

    cpu: Cpu
    memory: Memory
    openvino: Devices
    gaudi: Devices | None
    versions: Mapping[str, str | None]
    models: tuple[ModelEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was seen, with what follows from it."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that keep the service from serving, or from serving well."""
        return tuple(finding for finding in self.findings if finding.is_problem)


def gather(models_dirs: Sequence[Path]) -> Report:
    """Examine this machine, and the models in `models_dirs`: each a model's folder or a folder of those."""
    facts = Facts(
        cpu=read_cpu(),
        memory=read_memory(),
        openvino=find_openvino_devices(),
        gaudi=find_gaudi_devices(),
        versions={name: _version(name) for name in (*OPTIONAL_PACKAGES, *NEEDED_PACKAGES)},
        models=find_models(models_dirs),
    )
    return Report(facts=facts, findings=tuple(judge(facts, models_dirs=models_dirs)))


def find_openvino_devices() -> Devices:
    """Ask OpenVINO for its devices; that it can't be loaded is an answer too."""
    try:
        import openvino

        core = openvino.Core()
        names = [f"{name}: {core.get_property(name, 'FULL_DEVICE_NAME')}" for name in core.available_devices]
    except (ImportError, OSError, RuntimeError) as error:
        return Devices(error=_first_line(str(error)))
    return Devices(names=tuple(names))


def find_gaudi_devices(
    *,
    which: Callable[[str], str | None] = shutil.which,
    timeout_s: float = HL_SMI_TIMEOUT_S,
) -> Devices | None:
    """Ask hl-smi for the Gaudi cards; None when there is no hl-smi."""
    tool = which("hl-smi")
    if tool is None:
        return None
    command = [tool, "-Q", "name", "-f", "csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return Devices(error=f"hl-smi gave no answer within {timeout_s:g} s")
    except OSError as error:
        return Devices(error=f"hl-smi can't be run: {error.strerror}")
    if done.returncode != 0:
        return Devices(
            error=_first_line(done.stderr or done.stdout) or f"hl-smi ended with {done.returncode}"
        )
    return Devices(names=tuple(line.strip() for line in done.stdout.splitlines() if line.strip()))


def find_models(models_dirs: Sequence[Path]) -> tuple[ModelEntry, ...]:
    """List the model folders among `models_dirs` and right below them."""
    candidates = dict.fromkeys(one for folder in models_dirs for one in (folder, *_folders_in(folder)))
    return tuple(_model_entry(folder) for folder in candidates if _looks_like_model(folder))


def judge(facts: Facts, *, models_dirs: Sequence[Path]) -> Iterator[Finding]:
    """Say what follows from the facts."""
    yield from _judge_cpu(facts.cpu)
    yield from _judge_memory(facts.memory)
    yield from _judge_devices(facts)
    for name in NEEDED_PACKAGES:
        if facts.versions.get(name) is None:
            yield _problem(f"The package {name} is not installed.", "pip install .")
    yield from _judge_models(facts.models, models_dirs)


def _judge_cpu(cpu: Cpu) -> Iterator[Finding]:
    if "avx2" not in cpu.flags:
        yield _problem(
            "The CPU has no AVX2: OpenVINO runs on it slowly or not at all.",
            "Use an x86-64 CPU with AVX2; in a virtual machine, pass the host's CPU through.",
        )
    if "amx_tile" not in cpu.flags:
        yield _note(
            "The CPU has no AMX: many requests at once run slower than on 4th-generation Xeons and later."
        )
    if cpu.vendor != "GenuineIntel":
        yield _note("This is no Intel CPU: the service works, but figures given for Intel CPUs don't apply.")


def _judge_memory(memory: Memory) -> Iterator[Finding]:
    if memory.ceiling_bytes < LEAST_MEMORY_BYTES:
        owner = "machine has" if memory.cgroup_limit_bytes is None else "control group allows"
        yield _problem(
            f"The {owner} {_gib(memory.ceiling_bytes)} of memory; serving takes {_gib(LEAST_MEMORY_BYTES)}.",
            "Raise the container's or unit's memory limit, or use a larger machine.",
        )


def _judge_devices(facts: Facts) -> Iterator[Finding]:
    reinstall = "Install anew in a fresh virtual environment: pip install ."
    if facts.openvino.error is not None:
        yield _problem(f"OpenVINO can't be used: {facts.openvino.error}", reinstall)
    elif not facts.openvino.names:
        yield _problem("OpenVINO finds no device, not even the CPU.", reinstall)
    if facts.gaudi is not None and facts.gaudi.error is not None:
        yield _problem(
            f"The Gaudi cards can't be asked: {facts.gaudi.error}",
            "Check the driver: lsmod | grep habanalabs",
        )


def _judge_models(models: tuple[ModelEntry, ...], models_dirs: Sequence[Path]) -> Iterator[Finding]:
    for model in models:
        if model.error is not None:
            yield _problem(model.error, "Convert it again, or remove the folder.")
        if model.launch is not None:
            yield _note(f"{model.folder} is not for this service. Start its engine with: {model.launch}")
    if not any(model.error is None and model.launch is None for model in models):
        places = ", ".join(str(folder) for folder in models_dirs) or "any folder"
        yield _problem(f"There is no converted model in {places}.", "python export/convert.py")


def render(report: Report, console: Console) -> None:
    """Print the report for people."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _rows(report.facts):
        facts.add_row(Text(name, style="bold"), Text(value))
    console.print(facts)
    for finding in report.findings:
        word, style = ("problem", "bold red") if finding.is_problem else ("note", "cyan")
        console.print(Text.assemble("\n", (word, style), ": ", finding.message), soft_wrap=True)
        if finding.remedy:
            console.print(Text.assemble("  -> ", finding.remedy), soft_wrap=True)
    if not report.problems:
        console.print(Text("\nReady to serve.", style="green"))


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    cpu, memory = facts.cpu, facts.memory
    yield "CPU", f"{cpu.model} ({cpu.vendor})"
    yield "Instructions", " ".join(cpu.flags) or "none of those that speed up inference"
    yield (
        "Cores",
        f"{cpu.physical_cores} physical, {cpu.logical_cores} logical, {cpu.numa_nodes} NUMA node(s)",
    )
    yield "Memory", f"{_gib(memory.total_bytes)}, {_gib(memory.available_bytes)} available"
    limit = memory.cgroup_limit_bytes
    yield "Control group", "no memory limit" if limit is None else f"memory limit {_gib(limit)}"
    yield "OpenVINO", _device_list(facts.openvino)
    yield "Gaudi", "no hl-smi" if facts.gaudi is None else _device_list(facts.gaudi)
    yield (
        "Versions",
        "\n".join(f"{name} {value or 'not installed'}" for name, value in facts.versions.items()),
    )
    models = (f"{model.folder}: {'broken' if model.error else model.summary}" for model in facts.models)
    yield "Models", "\n".join(models) or "none"


def _device_list(devices: Devices) -> str:
    return "not usable" if devices.error is not None else "\n".join(devices.names) or "no device"


def _model_entry(folder: Path) -> ModelEntry:
    try:
        manifest = read_manifest(folder)
    except ModelFolderError as error:
        return ModelEntry(folder=folder, error=error.message)
    summary = f"{manifest.name}, {manifest.weight_format} for {manifest.device}"
    if manifest.engine == "openvino":
        return ModelEntry(folder=folder, summary=summary)
    launch = manifest.launch_line(folder)
    return ModelEntry(folder=folder, summary=f"{summary} under {manifest.engine}", launch=launch)


def _looks_like_model(folder: Path) -> bool:
    return (folder / FILE_NAME).exists() or any(folder.glob("openvino*.xml"))


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _problem(message: str, remedy: str) -> Finding:
    return Finding(message=message, is_problem=True, remedy=remedy)


def _note(message: str) -> Finding:
    return Finding(message=message, is_problem=False)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):.1f} GiB"

"""Makes a peer's own virtual environment, at the pinned versions."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.peers import llamacpp, vllm
from benchmarks.peers.contender import LLAMACPP, VLLM

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "peers"
"""Environments and models of peers, in the checkout."""

_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {LLAMACPP: llamacpp.REQUIREMENTS, VLLM: vllm.REQUIREMENTS}
INSTALLABLE = tuple(_REQUIREMENTS)
_OUTPUT_TAIL_CHARACTERS = 2000


def interpreter(name: str) -> Path:
    """The Python of a peer's environment.

    Raises:
        BenchmarkError: the environment is missing or not at the pinned versions.
    """
    wrong = differences(pins(name), installed(CACHE / name))
    if wrong:
        raise BenchmarkError(
            f"{name} is not installed ({'; '.join(wrong[:3])}): python -m benchmarks peers install {name}"
        )
    return _python(CACHE / name)


def install(name: str, say: Callable[[str], None]) -> None:
    """Make the environment of a peer; nothing is done when it is complete. `say` gets a line on what goes on.

    Raises:
        BenchmarkError: pip failed.
    """
    folder = CACHE / name
    if not differences(pins(name), installed(folder)):
        say(f"{name}: complete already, in {folder}")
        return
    say(f"{name}: installing into {folder}")
    if not _python(folder).exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
    # The files name everything: what a package asks for beyond them would break it (requirements/vllm.txt).
    pip = [
        str(_python(folder)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    for file in _requirements(name):
        _run([*pip, "--requirement", str(file)])


def pins(name: str) -> dict[str, str]:
    """The version of each package in a peer's environment."""
    lines = [line for file in _requirements(name) for line in file.read_text(encoding="utf-8").splitlines()]
    pairs = (line.partition("==") for line in lines if line and line[0] not in "#-")
    return {_normal(package): version for package, _, version in pairs}


def installed(folder: Path) -> dict[str, str]:
    """The version of each package that an environment has; empty where there is none."""
    paths = [str(path) for path in folder.glob("lib/python3*/site-packages")]
    # pip writes these metadata last: a package that is listed is whole.
    return {_normal(one.metadata["Name"]): one.version for one in distributions(path=paths)} if paths else {}


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Tell which packages are missing or of another version."""
    return [
        f"{package} {version} wanted, {found.get(package, 'none')} found"
        for package, version in wanted.items()
        if found.get(package) != version
    ]


def _requirements(name: str) -> list[Path]:
    return [Path(__file__).with_name("requirements") / file for file in _REQUIREMENTS[name]]


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _normal(package: str) -> str:
    return package.lower().replace("_", "-").replace(".", "-")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-_OUTPUT_TAIL_CHARACTERS:]
        raise BenchmarkError(f"{command[0]} failed with status {done.returncode}: {said}")

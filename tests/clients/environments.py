"""Small environments for clients whose pins contradict the checkout's."""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.server import RunningServer

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
_KEPT = ROOT / ".cache" / "clients"
_INSTALL_LIMIT_S = 300
_CALLS_LIMIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What one program of `tests.clients.calls` reported: for each call a result or an error."""

    calls: dict[str, dict[str, Any]]

    def result(self, call: str) -> Any:
        """What the call returned; an error it raised fails the test."""
        assert "result" in self.calls[call], self.calls[call]
        return self.calls[call]["result"]

    def error(self, call: str) -> dict[str, Any]:
        """The `type`, by its qualified name, and `message` of what the call raised."""
        error: dict[str, Any] = self.calls[call]["error"]
        return error


def run_calls(client: str, program: str, server: RunningServer) -> Outcomes:
    """Run `tests.clients.calls.<program>` in the client's own environment."""
    done = subprocess.run(
        [str(_python_of(client)), "-m", f"tests.clients.calls.{program}", server.url, server.token],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_CALLS_LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return Outcomes(calls=json.loads(done.stdout.splitlines()[-1]))


def pinned_version(requirements: Path, package: str) -> str:
    """The version in a file of `name==version` lines."""
    found = re.search(
        rf"^{re.escape(package)}==(\S+)$", requirements.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found, f"{requirements} does not pin {package}"
    return found[1]


def _python_of(client: str) -> Path:
    """The interpreter of the client's environment, which is made when its requirements have changed."""
    requirements = REQUIREMENTS / f"{client}.txt"
    folder = _KEPT / client
    stamp = folder / "installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / f"{client}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(folder, requirements)
            stamp.write_text(wanted)
    return folder / "bin" / "python"


def _install(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=_INSTALL_LIMIT_S)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input", "--no-compile"]
    options = ["--disable-pip-version-check", "--only-binary", ":all:", "-r", str(requirements)]
    subprocess.run([*pip, *options], check=True, timeout=_INSTALL_LIMIT_S)

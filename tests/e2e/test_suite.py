"""The benchmarks' suite, one small step of it: a record, a log and an archive."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_step_leaves_its_record_in_the_archive(default_model: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "suite", "--quick", "--only", "run-closed-1"),
            *("--model", str(default_model), "--output", str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("bench-*.tar.gz")
    folder = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
        record = packed.extractfile(f"{folder}/run-closed-1.json")
        assert record is not None
        assert json.load(record)["results"]["stages"][0]["measures"]["answered"] > 0
    assert {f"{folder}/run-closed-1.log", f"{folder}/summary.txt"} < names


def test_a_step_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "suite", "--only", "nothing"),
            *("--model", str(tmp_path), "--output", str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "run-sweep" in done.stderr

"""The harnesses of coverage-guided fuzzing hold for a while; run them by hand for longer."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = 30_000


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it has no wheel for this Python",
)
@pytest.mark.parametrize("harness", ["address_harness", "authorization_harness"])
def test_harness_finds_nothing(harness: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"tests.fuzz.{harness}", f"-runs={RUNS}", "-max_len=512", "-timeout=5"]
    command += ["-dict=tests/fuzz/headers.dict", f"-artifact_prefix={tmp_path}/"]
    # libFuzzer counts the peak that a child inherits from the test run, which has held whole models by then.
    command += ["-rss_limit_mb=8192"]
    # A corpus of its own would make each run another one; a fixed start finds the same again.
    run = subprocess.run([*command, "-seed=1"], cwd=ROOT, capture_output=True, timeout=300, text=True)
    assert run.returncode == 0, f"{run.stdout[-2000:]}{run.stderr[-4000:]}"
    done = re.search(r"Done (\d+) runs", run.stderr)
    assert done is not None
    assert int(done[1]) >= RUNS

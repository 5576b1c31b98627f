"""Real comparisons of converted models with their sources, through the command lines."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from export.quality.report import Report, read_report
from tests.e2e.test_export import convert, make_tiny_llama, one_line
from tests.support.damage import scale_a_weight

ROOT = Path(__file__).resolve().parents[2]
VERIFY = ROOT / "export" / "verify.py"

needs_export = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)


def verify(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(VERIFY), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ, capture_output=True, text=True, timeout=900, check=False
    )


def report_in(folder: Path) -> Report:
    report = read_report(folder)
    assert report is not None
    return report


def test_the_default_model_is_within_its_limits_and_a_damaged_copy_is_not(
    default_model: Path, tmp_path: Path
) -> None:
    """Against the unquantised OpenVINO model, which needs no torch and is quick."""
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    for copy in (whole, damaged):
        shutil.copytree(default_model, copy)
    ended = verify(whole, "--reference", "openvino", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{whole / 'report.md'}\n"
    report = report_in(whole)
    assert report.passed
    assert report.measures.perplexity_ratio == pytest.approx(1, abs=0.02)
    assert report.measures.kl_mean < 0.02 < report.measures.kl_p99
    assert (report.reference.runtime, report.converted.device) == ("openvino", "CPU")
    assert (len(report.greedy.lengths), report.texts.passages >= 64) == (32, True)

    scale_a_weight(damaged, by=2)
    ended = verify(damaged, "--reference", "openvino", cwd=tmp_path)
    assert ended.returncode == 3
    assert "is too far from its source" in ended.stderr.splitlines()[-1]
    assert not report_in(damaged).passed


@needs_export
def test_a_conversion_that_loses_too_much_is_not_published_unless_it_is_accepted(
    default_model: Path, tmp_path: Path
) -> None:
    """Random weights have no favourite tokens, so that INT4 changes nearly all of them."""
    make_tiny_llama(tmp_path / "tiny", default_model)
    output = tmp_path / "models" / "tiny-int4"
    ended = convert("tiny", "--weights", "int4", cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    message = ended.stderr.splitlines()[-1]
    for part in ("Same first token", "at least", "Not published", "--weights", "--accept"):
        assert part in message
    rejected = output.parent / "tiny-int4.rejected"
    assert list(output.parent.iterdir()) == [rejected]
    assert not report_in(rejected).passed
    assert not report_in(rejected).accepted

    ended = convert("tiny", "--weights", "int4", "--accept", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert list(output.parent.iterdir()) == [output]
    report = report_in(output)
    assert (report.accepted, report.passed, report.reference.runtime) == (True, False, "transformers")
    again = convert("tiny", "--weights", "int4", cwd=tmp_path)
    assert again.stderr == f"already converted: {output}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["missing"], 1, "is not a converted model"),
        ([], 2, "DIR"),
        (["missing", "--revision", "main"], 2, "--against"),
        (["missing", "--no-such-option"], 2, "--no-such-option"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: list[str], code: int, part: str) -> None:
    ended = verify(*arguments, cwd=tmp_path)
    assert ended.returncode == code
    assert part in one_line(ended.stderr)


def test_accepting_without_comparing_is_wrong_use(tmp_path: Path) -> None:
    ended = convert("--accept", "--no-verify", cwd=tmp_path)
    assert ended.returncode == 2
    assert "give one of them" in one_line(ended.stderr)

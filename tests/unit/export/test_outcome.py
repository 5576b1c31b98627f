import json
from pathlib import Path

import pytest

from export.outcome import success
from tests.support.tiny import write_tiny_model


@pytest.mark.parametrize(
    ("passed", "accepted", "verdict"),
    [(True, False, "passed"), (False, True, "accepted"), (False, False, "failed")],
)
def test_the_quality_reports_verdict_is_told(
    tmp_path: Path, passed: bool, accepted: bool, verdict: str
) -> None:
    write_tiny_model(tmp_path)
    report = {"measures": {"kl_mean": 0.01}, "checks": [{"passed": passed}], "accepted": accepted}
    (tmp_path / "report.json").write_text(json.dumps(report))
    outcome = json.loads(success("converted", tmp_path, 1.0, None))
    assert outcome["report"] == {
        "path": str(tmp_path / "report.json"),
        "verdict": verdict,
        "measures": {"kl_mean": 0.01},
    }


def test_without_a_report_there_is_none(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    assert json.loads(success("already-converted", tmp_path, 0.0, None))["report"] is None

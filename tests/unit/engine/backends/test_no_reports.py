"""What runs a model tells nobody of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "service.engine.backends.openvino",
        "service.engine.backends.tiny_model",
        "service.doctor",
        "export.convert",
    ],
)
def test_a_backend_reports_to_nobody(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}, openvino; print(sys.modules['openvino_telemetry'])"
    # The package that would report turns itself off in CI: here nothing else must be needed.
    usual = {key: value for key, value in os.environ.items() if key not in ("CI", "TF_BUILD", "JENKINS_URL")}
    imported = subprocess.run(
        [sys.executable, "-c", code],
        env={**usual, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (imported.returncode, imported.stdout) == (0, "None\n"), imported.stderr
    assert list(tmp_path.iterdir()) == []

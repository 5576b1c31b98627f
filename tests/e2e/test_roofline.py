"""The roofline of the default model, small: no figure is judged, but all are there and fit together."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--prefill-tokens",
    "16",
    "--prompt-tokens",
    "8",
    "--tokens",
    "4",
    "--rounds",
    "1",
    "--buffer-mib",
    "64",
]


def roofline(model: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "roofline", "--model", str(model), *SMALL, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_what_is_reached_of_the_limits_is_shown_and_recorded(default_model: Path, tmp_path: Path) -> None:
    done = roofline(default_model, "--profile", "--output", str(tmp_path / "record.json"))

    assert done.returncode == 0, done.stderr
    assert "is the limit set by memory" in done.stdout
    assert "FullyConnected" in done.stdout
    record = json.loads((tmp_path / "record.json").read_text())
    results = record["results"]
    assert record["kind"] == "roofline"
    # The 134,515,008 weights, a byte each, with the scales and zero points of NNCF's INT8.
    assert 134_515_008 < results["cost"]["weight_bytes"] < 1.01 * 134_515_008
    middle = results["decode"]["middle"]
    assert 0 < middle["limit_s"] <= middle["kernel_s"]
    assert results["decode"]["reached"]["median"] == pytest.approx(middle["limit_s"] / middle["measured_s"])
    assert [one["tokens"] for one in results["prefill"]] == [16]
    steps = results["profile"]
    assert sum(share["time_s"] for share in steps["shares"]) <= 1.05 * steps["step_s"]


def test_properties_given_replace_the_services_own(default_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "record.json"

    done = roofline(default_model, "--property", "KV_CACHE_PRECISION=f16", "--output", str(output))

    assert done.returncode == 0, done.stderr
    record = json.loads(output.read_text())
    assert record["engine"]["properties"] == {"KV_CACHE_PRECISION": "f16"}
    assert record["results"]["kv_precision"] == "f16"


def test_a_property_without_a_value_is_refused_in_one_line(default_model: Path) -> None:
    done = roofline(default_model, "--property", "KV_CACHE_PRECISION")

    assert done.returncode == 2
    assert done.stderr.strip() == "error: --property takes NAME=VALUE, not 'KV_CACHE_PRECISION'"

"""The load generator against the real service."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import RunningServer


def loaded(server: RunningServer, output: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", "run", "--url", server.url, "--token", server.token]
    done = subprocess.run(
        [*command, "--requests", "10", "--output", str(output), *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(output.read_text())
    return record


@pytest.mark.parametrize("api", ["tgi", "openai", "openai-chat"])
def test_every_request_of_each_api_is_answered_and_measured(
    real_server: RunningServer, default_model: Path, tmp_path: Path, api: str
) -> None:
    record = loaded(
        real_server,
        tmp_path / "record.json",
        *("--target", api, "--model", str(default_model), "--workload", "fixed:in=32,out=8"),
        *("--arrival", "closed:4", "--slo", "ttft=60s,itl=60s"),
    )
    (stage,) = record["results"]["stages"]
    seen = stage["measures"]
    assert (seen["answered"], seen["failures"], seen["output_tokens"]) == (10, {}, 80)
    assert seen["good_share"] == 1
    assert seen["ttft_s"]["p50"]["value"] < seen["end_to_end_s"]["p50"]["value"]
    assert seen["queue_s"]["count"] == 10
    if api != "openai-chat":  # its template adds to the prompt
        assert seen["prompt_tokens"] == 320
    assert record["manifest_sha256"]
    assert record["settings"]["model_served"] == "same source and weight format"
    assert record["environment"]["numa_nodes"] >= 1


def test_an_open_loop_sends_at_its_rate(real_server: RunningServer, tmp_path: Path) -> None:
    record = loaded(
        real_server, tmp_path / "record.json", "--workload", "fixed:in=8,out=2", "--arrival", "constant:5"
    )
    (stage,) = record["results"]["stages"]
    assert stage["offered_per_s"] == pytest.approx(5)
    assert stage["measures"]["answered"] == 10
    assert stage["measures"]["window_s"] > 1.8

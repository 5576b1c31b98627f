"""A comparison from end to end: tiber-serve against itself, by its address."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import RunningServer


def test_a_server_that_runs_already_is_compared_and_one_that_fails_is_left_out(
    default_model: Path, real_server: RunningServer, tmp_path: Path
) -> None:
    contenders = [f"ours=tiber-serve:{default_model}", f"same=openai:{real_server.url}"]
    contenders += ["nobody=openai:http://127.0.0.1:9"]
    options = [part for one in contenders for part in ("--contender", one)]
    options += ["--concurrency", "1", "--concurrency", "4", "--rounds", "1", "--tokens", "8"]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "compare", *options, "--output-dir", str(tmp_path)],
        env={**os.environ, "VALID_TOKEN": real_server.token},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    record = json.loads((tmp_path / "compare.json").read_text())
    sides = {side["label"]: side for side in record["results"]["sides"]}
    assert sides["ours"]["failure"] is None
    assert sides["same"]["failure"] is None
    assert "nobody answers at 127.0.0.1:9" in sides["nobody"]["failure"]
    for level, requests in zip(record["results"]["levels"], (3, 4), strict=True):
        assert set(level["figures"]) == {"ours", "same"}
        for figures in level["figures"].values():
            assert figures["rounds"][0]["tokens"] == figures["rounds"][0]["events"] == 8 * requests
        counts = {one["rounds"][0]["prompt_tokens"] for one in level["figures"].values()}
        assert len(counts) == 1
        assert [(one["ours"], one["peer"]) for one in level["ratios"]] == [("ours", "same")]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("compare.json", "compare.md"),
        *(f"{name}.{suffix}" for name in ("throughput", "latency", "ratios") for suffix in ("svg", "png")),
    }

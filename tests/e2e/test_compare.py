"""A comparison from end to end: tiber-serve against itself, by its address."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.credentials import Credentials
from benchmarks.peers.contender import Contender
from benchmarks.peers.serving import running
from export.checksum import file_sha256
from service.tuning.identity import tuning_key
from service.tuning.store import FILE_NAME, TuningEntry, write
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
    assert sides["ours"]["weights_sha256"]["manifest.json"] == file_sha256(default_model / "manifest.json")
    assert sides["same"]["weights_sha256"] == {}
    assert record["settings"]["uses_tuning"] is False
    assert "tuning = false" in sides["ours"]["settings"]
    assert sides["ours"]["engine_settings"]
    assert sides["same"]["engine_settings"]
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


@pytest.mark.parametrize(
    ("uses_tuning", "origin"), [(False, "defaults for"), (True, "tuned for this machine on 2026-11-28")]
)
def test_our_server_takes_the_tuning_beside_its_model_only_when_asked(
    default_model: Path, tmp_path: Path, uses_tuning: bool, origin: str
) -> None:
    for file in default_model.iterdir():
        (tmp_path / file.name).symlink_to(file)
    entry = TuningEntry(
        key=tuning_key(tmp_path, "CPU"),
        objective="balanced",
        name="best",
        properties={"INFERENCE_PRECISION_HINT": "f32"},
        max_batched_tokens=256,
        max_running=64,
        tuned_at=datetime(2026, 11, 28, tzinfo=UTC),
        budget_s=60,
    )
    write([tmp_path / FILE_NAME], entry)
    ours = Contender(label="ours", kind="tiber-serve", model=str(tmp_path))

    with running(ours, concurrency=1, credentials=Credentials(), uses_tuning=uses_tuning) as serving:
        assert (serving.engine_settings or "").startswith(origin)

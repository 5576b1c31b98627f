"""`tiber-serve tune` with the default model, and the service that uses what it found."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.server import running_server

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def model(default_model: Path, tmp_path: Path) -> Path:
    """The default model in a folder of its own: the shared one must not stay tuned."""
    folder = tmp_path / "model"
    shutil.copytree(default_model, folder, copy_function=os.symlink)
    (folder / "tuning.json").unlink(missing_ok=True)
    return folder


def command(model: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "service.cli", "tune", str(model), *options]


def tune(model: Path, budget: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(model, "--budget", budget, "--json"), capture_output=True, text=True, timeout=600, check=False
    )


def test_what_was_tuned_is_kept_and_the_service_runs_with_it_and_says_so(model: Path, tmp_path: Path) -> None:
    done = tune(model, "60s")
    if enough := re.search(r"give it at least --budget (\d+)s", done.stderr):
        # A slow machine: what it is told must do.
        done = tune(model, f"{int(enough[1]) + 30}s")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (entry,) = json.loads((model / "tuning.json").read_text())["entries"]
    assert entry["name"] == told["winner"]
    measured = {one["name"]: one for one in told["candidates"] if one["rounds"]}
    assert {"shipped", "engine defaults"} <= set(measured)
    assert measured["shipped"]["over_engine_defaults"]["alone"] > 0
    assert 0 < measured["shipped"]["distance_nats"] < told["bound_nats"]
    with running_server(tmp_path, f'[[models]]\npath = "{model}"\ncache_gib = 1\n') as server:
        with server.client() as client:
            body = {"inputs": QUESTION, "parameters": {"max_new_tokens": 12}}
            assert "Paris" in client.post("/generate", json=body).json()["generated_text"]
            settings = client.get("/info").json()["engine_settings"]
        log = server.log.read_text()
    assert settings.startswith("tuned for this machine on 20")
    assert settings in log
    (ready,) = (json.loads(line) for line in log.splitlines() if '"engine_ready"' in line)
    assert ready["properties"] == entry["properties"]


def test_ctrl_c_keeps_nothing_and_leaves_no_engine_behind(model: Path) -> None:
    process = subprocess.Popen(command(model), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    deadline_s = time.monotonic() + 60
    while not (engines := psutil.Process(process.pid).children()) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: nothing was kept" in errors
    assert not (model / "tuning.json").exists()
    assert engines
    assert not [engine for engine in engines if engine.is_running()]

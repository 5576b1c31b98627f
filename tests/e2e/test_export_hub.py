"""Whole runs of the command line against a hub on the loopback."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.manifest import read_manifest
from tests.support.hub_server import Hub, Repository, running_hub
from tests.support.safetensors_bytes import llama_files
from tests.support.tiny_llama import make_tiny_llama

CONVERT = Path(__file__).resolve().parents[2] / "export" / "convert.py"
MIB = 1 << 20

needs_export = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


def start(hub: Hub, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(CONVERT), *arguments],
        cwd=folder,
        env=os.environ | hub.environment(folder.parent / "hub-home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@needs_export
def test_a_pipeline_gets_one_json_object_and_events_of_a_pickled_model_that_was_asked_for(
    hub: Hub, folder: Path, tmp_path: Path, default_model: Path
) -> None:
    source = tmp_path / "tiny"
    make_tiny_llama(source, default_model)
    pickle = "import sys, torch; from safetensors.torch import load_file as load; "
    pickle += "torch.save(load(sys.argv[1]), sys.argv[2])"
    weights = source / "model.safetensors"
    subprocess.run(
        [sys.executable, "-c", pickle, str(weights), str(source / "pytorch_model.bin")],
        check=True,
        timeout=120,
    )
    weights.unlink()
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    hub.repositories["org/tiny"] = Repository(files=files)
    process = start(hub, folder, "org/tiny", "--json", "--jobs", "1", "--allow-pickle")
    printed, events = process.communicate(timeout=300)
    assert process.returncode == 0, events
    outcome = json.loads(printed)
    output = folder / "models" / "tiny-int8"
    assert (outcome["status"], outcome["folder"], outcome["error"]) == ("converted", str(output), None)
    assert outcome["manifest"]["source"]["revision"] == hub.repositories["org/tiny"].commit
    assert read_manifest(output).source.revision == hub.repositories["org/tiny"].commit
    steps = [json.loads(line) for line in events.splitlines()]
    titles = [step["title"] for step in steps if step["event"] == "step"]
    assert any(title.startswith("Downloading org/tiny") for title in titles)
    assert "Exporting through optimum-intel" in titles
    assert {
        "event": "note",
        "text": "Reading pickle weights with torch's weights_only loader, as asked",
    } in steps
    assert hub.most_at_once == 1


@needs_export
def test_an_interrupted_download_goes_on_where_it_was(hub: Hub, folder: Path) -> None:
    files = llama_files(40 * MIB)
    hub.repositories["org/name"] = Repository(files=files, slow={"model.safetensors": 0.05})
    process = start(hub, folder, "org/name")
    partials = folder.parent / "hub-home"
    # The weights: the description comes before them, and is whole in no time.
    _wait_until(lambda: _largest(partials) > MIB)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)
    assert process.returncode == 130
    said, last = printed.splitlines()[-2:]
    assert said.endswith("MiB are left to download: the same command goes on from there")
    assert last == "error: interrupted: the output is as it was before"
    assert list(folder.iterdir()) == []
    hub.asked.clear()
    again = start(hub, folder, "org/name")
    _wait_until(lambda: bool(hub.downloads("model.safetensors")))
    again.terminate()
    again.communicate(timeout=20)
    (asked,) = hub.downloads("model.safetensors")
    begun = int((asked.range or "").removeprefix("bytes=").removesuffix("-"))
    assert begun >= 10 * MIB


@needs_export
def test_offline_asks_nothing_of_the_network(hub: Hub, folder: Path) -> None:
    process = start(hub, folder, "org/name", "--offline")
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "org/name is not in the hub's cache" in printed
    assert hub.asked == []


def _largest(partials: Path) -> int:
    """The bytes of the largest file that is not whole."""
    sizes = [0]
    for path in partials.glob("hub/*/blobs/*.incomplete"):
        # It may become whole meanwhile.
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes)


def _wait_until(happened: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until_s
        time.sleep(0.02)

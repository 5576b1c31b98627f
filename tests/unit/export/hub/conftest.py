"""A loopback hub, and a cache of the test's own."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from export.progress import Steps
from tests.support.hub_fetching import Fetching
from tests.support.hub_server import Hub, Repository, running_hub
from tests.support.safetensors_bytes import llama_files


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        hub.repositories["org/name"] = Repository(files=llama_files())
        yield hub


@pytest.fixture
def fetch(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)


@pytest.fixture
def steps() -> Steps:
    return Steps(Console(file=io.StringIO()))

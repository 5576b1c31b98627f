"""Keeps the clients on this machine, and records which of their calls work."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import openai
import pytest

from service.doctor import read_cpu
from tests.clients import matrix
from tests.clients.loopback import SILENCE, LoopbackOnly
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

RESULTS = pytest.StashKey[dict[matrix.Call, list[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-client-matrix", action="store_true", help="write docs/clients.md from this run")


def pytest_configure(config: pytest.Config) -> None:
    # Before a test module imports a client, which may read it then; for those in other interpreters too.
    os.environ.update(SILENCE)
    config.stash[RESULTS] = defaultdict(list)
    config.addinivalue_line("markers", "client(name): the client, by its package's name, that a module tests")
    config.addinivalue_line("markers", "call(text): the client's call that a test looks at")


@pytest.fixture(scope="session")
def loopback_only() -> LoopbackOnly:
    return LoopbackOnly()


@pytest.fixture
def openai_client(real_server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{real_server.url}/v1", api_key=real_server.token, max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="session")
def narrow_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A slow backend with a place for one request."""
    config = fake_model(tiny_model, step_s=0.05, extra="max_concurrent_requests = 1")
    with running_server(tmp_path_factory.mktemp("narrow"), config) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_other_host(loopback_only: LoopbackOnly) -> Iterator[None]:
    with loopback_only.enforced():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    client, mark = item.get_closest_marker("client"), item.get_closest_marker("call")
    if client and mark and (report.when == "call" or not report.passed):
        key = matrix.Call(client=client.args[0], call=mark.args[0])
        item.config.stash[RESULTS][key].append(_result(report))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--write-client-matrix", default=False):
        return
    results = {call: matrix.worst(found) for call, found in session.config.stash[RESULTS].items()}
    if results.keys() != matrix.declared_calls(Path(__file__).parent):
        pytest.exit(
            f"docs/clients.md is not written from a part of the tests: {matrix.COMMAND}", returncode=4
        )
    machine = f"{read_cpu().model}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = matrix.render(results, date=datetime.now(UTC).date().isoformat(), machine=machine)
    matrix.DOCUMENT.write_text(text, encoding="utf-8")


def _result(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"no: {report.wasxfail.removeprefix('reason: ')}"
    return "works" if report.passed else "fails"

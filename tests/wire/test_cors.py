"""Pages of other origins in a browser: not at all, or as the operator said."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.errors import ConfigError
from service.settings import load_settings
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

PAGE = "https://app.example.org"
# What OpenAI's client for JavaScript sends.
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-stainless-arch,x-stainless-os",
}


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = f'cors_origins = ["{PAGE}", "http://localhost:3000"]\n'
    limits = "max_concurrent_requests = 1"
    folder = tmp_path_factory.mktemp("cors")
    with running_server(folder, config + fake_model(tiny_model, extra=limits)) as server:
        yield server


def ask(server: RunningServer, origin: str, **headers: str) -> httpx.Response:
    """As a browser asks before it sends: without a token."""
    return httpx.options(f"{server.url}/v1/models", headers={"Origin": origin, **PREFLIGHT, **headers})


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_a_page_of_a_named_origin_may_ask_without_a_token(server: RunningServer, origin: str) -> None:
    answer = ask(server, origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-stainless-os" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.org",
        "https://app.example.org.evil.org",
        "http://app.example.org",
        "null",
        f"{PAGE}:444",
    ],
)
def test_a_page_of_another_origin_may_not(server: RunningServer, origin: str) -> None:
    refused = ask(server, origin)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "validation"
    assert "access-control-allow-origin" not in refused.headers
    answer = httpx.get(f"{server.url}/health", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_a_method_that_no_endpoint_has_is_refused(server: RunningServer) -> None:
    assert ask(server, PAGE, **{"Access-Control-Request-Method": "DELETE"}).status_code == 400


def test_an_answer_may_be_read_by_the_page_with_its_headers(server: RunningServer) -> None:
    body = {"inputs": "abc", "parameters": {"max_new_tokens": 1}}
    headers = {**server.headers, "Origin": PAGE}
    answer = httpx.post(f"{server.url}/generate", json=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "Origin" in answer.headers["vary"]
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    ours = {name for name in answer.headers if name.startswith("x-")}
    assert {"retry-after", "x-request-id"} < exposed
    assert ours - exposed == {"x-content-type-options", "x-frame-options", "x-xss-protection"}


def test_errors_may_be_read_by_the_page_too(server: RunningServer) -> None:
    headers = {"Origin": PAGE}
    good = {**headers, **server.headers}
    body = {"inputs": "<|reject|>", "parameters": {"max_new_tokens": 1}}
    answers = [
        httpx.get(f"{server.url}/info", headers=headers),
        httpx.get(f"{server.url}/nothing", headers=good),
        httpx.post(f"{server.url}/generate", json=body, headers=good),
    ]
    assert [answer.status_code for answer in answers] == [401, 404, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "x-request-id" in answer.headers


def test_a_ban_may_be_read_by_the_page_too(tiny_model: Path, tmp_path: Path) -> None:
    config = f'cors_origins = ["{PAGE}"]\n[auth]\nmax_failures = 1\n' + fake_model(tiny_model)
    with running_server(tmp_path, config) as server:
        wrong = {"Origin": PAGE, "Authorization": "Bearer wrong"}
        statuses = [httpx.get(f"{server.url}/info", headers=wrong) for _ in range(2)]
        assert [answer.status_code for answer in statuses] == [401, 403]
        assert {answer.headers["access-control-allow-origin"] for answer in statuses} == {PAGE}


def test_any_page_may_where_the_operator_says_so(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, 'cors_origins = ["*"]\n' + fake_model(tiny_model)) as server:
        answer = ask(server, "https://anything.example")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_no_page_may_where_nothing_is_said(fake_server: RunningServer) -> None:
    assert ask(fake_server, PAGE).status_code in (401, 405)
    answer = httpx.get(f"{fake_server.url}/health", headers={"Origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    [
        "app.example.org",
        "https://app.example.org/",
        "https://app.example.org/x",
        "HTTPS://app.example.org",
        "https://*.example.org",
        "null",
        "",
    ],
)
def test_what_is_no_origin_is_refused_at_the_start(
    origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is no origin"):
        load_settings(None, {"cors_origins": [origin]})


@pytest.mark.parametrize("origin", ["*", "http://localhost:3000", "https://[::1]:8443", "tauri://localhost"])
def test_what_is_an_origin_is_taken(origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {"cors_origins": [origin]}).cors_origins == (origin,)

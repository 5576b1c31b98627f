"""Which model answers: the path's, the field's, else the first; xpu_tgi's URLs keep working."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

CHAT = {"messages": [{"role": "user", "content": "abc"}], "max_tokens": 3, "temperature": 0}
TEXT = {"inputs": "abc", "parameters": {"max_new_tokens": 3}}


@pytest.fixture(scope="module")
def two_models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = fake_model(tiny_model, extra='name = "first"')
    config += fake_model(tiny_model, extra='name = "org/second"\nmax_total_tokens = 99')
    with running_server(tmp_path_factory.mktemp("two"), config) as server:
        yield server


@pytest.fixture(scope="module")
def client(two_models: RunningServer) -> Iterator[httpx.Client]:
    with two_models.client() as client:
        yield client


def model_of(client: httpx.Client, path: str = "", name: str | None = None) -> str:
    """The model that answers a chat below `path` that asks for `name`."""
    body = CHAT if name is None else {**CHAT, "model": name}
    response = client.post(f"{path}/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    model: str = response.json()["model"]
    return model


@pytest.mark.parametrize("name", [None, "", "tgi", "dummy", "first"])
def test_the_first_model_answers_who_names_none(client: httpx.Client, name: str | None) -> None:
    assert model_of(client, name=name) == "first"


def test_the_field_and_the_path_choose_a_model_and_the_path_wins(client: httpx.Client) -> None:
    assert model_of(client, name="org/second") == "org/second"
    assert model_of(client, "/org/second") == "org/second"
    assert model_of(client, "/org/second/gpu1", name="first") == "org/second"


@pytest.mark.parametrize("prefix", ["/org/second", "/org/second/gpu0", "/org/second/gpu12"])
def test_xpu_tgis_urls_are_the_models_own(
    two_models: RunningServer, client: httpx.Client, prefix: str
) -> None:
    assert client.post(f"{prefix}/generate", json=TEXT).json()["generated_text"] == "abc"
    assert client.post(f"{prefix}/generate_stream", json=TEXT).text.startswith("data: {")
    assert client.post(prefix, json=TEXT).json()[0]["generated_text"] == "abc"
    info = client.get(f"{prefix}/info").json()
    assert (info["model_id"], info["max_total_tokens"]) == ("org/second", 99)
    assert httpx.get(two_models.url + prefix + "/health").json() == {"status": "healthy"}
    assert [model["id"] for model in client.get(f"{prefix}/v1/models").json()["data"]] == ["org/second"]


def test_a_models_paths_need_the_same_token(two_models: RunningServer) -> None:
    for path in ("/first/generate", "/first/gpu0/generate", "/first/info", "/first/v1/models"):
        assert httpx.post(two_models.url + path, json=TEXT).status_code == 401


@pytest.mark.parametrize("field", [{"model": "third"}, {"model": "First"}])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", TEXT),
        ("/generate_stream", TEXT),
        ("/", TEXT),
        ("/tokenize", {"inputs": "a"}),
        ("/detokenize", {"tokens": [1]}),
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", {"prompt": "a"}),
    ],
)
def test_an_unknown_model_is_404_and_the_known_ones_are_named(
    client: httpx.Client, path: str, body: dict[str, Any], field: dict[str, str]
) -> None:
    response = client.post(path, json=body | field)
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["type"] == "not_found"
    assert "first, org/second" in error["message"]


@pytest.mark.parametrize("path", ["/third/generate", "/third/gpu0/generate", "/third/info", "/third/health"])
def test_a_path_of_an_unknown_model_says_so(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert "'third'" in response.json()["error"]["message"]


def test_models_are_listed_and_found_by_id(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["first", "org/second"]
    assert client.get("/v1/models/org/second").json() == listed["data"][1]
    assert listed["data"][1]["max_total_tokens"] == 99
    assert client.get("/v1/models/third").status_code == 404


def test_with_one_model_any_name_will_do(fake_server: RunningServer) -> None:
    with fake_server.client() as client:
        assert model_of(client, name="gpt-4o") == "tiny"


@pytest.mark.parametrize("name", ["generate", "v1", "v1/x", "health", "ui", "/x", "x/", "a//b"])
def test_a_model_cannot_have_a_name_that_hides_a_path(tiny_model: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "tiber-serve.toml"
    file.write_text(fake_model(tiny_model, extra=f'name = "{name}"'), encoding="utf-8")
    command = [sys.executable, "-m", "service.cli", "check-config", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert repr(name) in done.stderr


def test_of_two_names_that_fit_a_path_the_longer_one_counts(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, extra='name = "org"') + fake_model(tiny_model, extra='name = "org/x"')
    with running_server(tmp_path, config) as server, server.client() as client:
        assert client.get("/org/x/info").json()["model_id"] == "org/x"
        assert client.get("/org/info").json()["model_id"] == "org"


@pytest.mark.parametrize("path", ["/health", "/ready", "/ping", "/first/health"])
def test_a_probe_may_ask_for_the_head_alone(two_models: RunningServer, path: str) -> None:
    answer = httpx.head(two_models.url + path)
    assert (answer.status_code, answer.content) == (200, b"")

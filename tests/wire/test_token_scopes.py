"""A token that may use some of the models gets those, and learns nothing of the others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.auth.tokens import TokenStore
from tests.support.exposition import Exposition
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

CHAT = {"messages": [{"role": "user", "content": "abc"}], "max_tokens": 3, "temperature": 0}
TEXT = {"inputs": "abc", "parameters": {"max_new_tokens": 3}}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/generate", TEXT),
    ("/generate_stream", TEXT),
    ("/", TEXT),
    ("/invocations", TEXT),
    ("/invocations", CHAT),
    ("/tokenize", {"inputs": "a"}),
    ("/detokenize", {"tokens": [1]}),
    ("/v1/chat/completions", CHAT),
    ("/v1/completions", {"prompt": "a", "max_tokens": 2}),
]


def client_of(server: RunningServer, token: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scopes")


@pytest.fixture(scope="module")
def tokens(folder: Path) -> dict[str, str]:
    store = TokenStore(folder / "tokens.json")
    return {
        "second": store.create("second", models=["org/second"]),
        "two": store.create("two", models=["third", "org/second"]),
        "gone": store.create("gone", models=["not-served"]),
        "mixed": store.create("mixed", models=["not-served", "third"]),
    }


@pytest.fixture(scope="module")
def server(folder: Path, tokens: dict[str, str], tiny_model: Path) -> Iterator[RunningServer]:
    config = "".join(
        fake_model(tiny_model, extra=f'name = "{name}"') for name in ("first", "org/second", "third")
    )
    with running_server(folder, config) as running:
        yield running


@pytest.fixture
def second(server: RunningServer, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    """A client whose token may use org/second alone."""
    with client_of(server, tokens["second"]) as client:
        yield client


def assert_forbidden(response: httpx.Response) -> None:
    assert response.status_code == 403, response.text
    error = response.json()["error"]
    assert error["type"] == "forbidden"
    assert error["message"] == "this token may not use a model of that name; it may use: org/second"


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_model_it_may_not_use_is_refused_just_as_one_that_is_not_here(
    second: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answers = [second.post(path, json=body | {"model": name}) for name in ("first", "no-such-model")]
    for answer in answers:
        assert_forbidden(answer)
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("prefix", ["", "/gpu0"])
@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_the_path_of_a_model_it_may_not_use_is_one_of_a_model_that_is_not_here(
    second: httpx.Client, prefix: str, path: str, body: dict[str, Any]
) -> None:
    def ask(name: str, method: str) -> tuple[int, str, str | None]:
        answer = second.request(method, f"/{name}{prefix}{path}", json=body)
        return answer.status_code, answer.text.replace(name, "NAME"), answer.headers.get("allow")

    for method in ("POST", "GET", "PUT", "OPTIONS"):
        # The playground's page, which is for everybody, is below the name of every model that is here.
        if (method, path) != ("GET", "/"):
            assert ask("first", method) == ask("absent", method)
    if path != "/":
        assert_forbidden(second.post(f"/first{prefix}{path}", json=body))


@pytest.mark.parametrize(
    "path", ["/info", "/v1/models", "/v1/models/first", "/openapi.json", "/nothing", "/v1/models/org/second"]
)
def test_nothing_below_the_path_of_such_a_model_tells_that_it_is_here(
    second: httpx.Client, path: str
) -> None:
    first, absent = second.get(f"/first{path}"), second.get(f"/absent{path}")
    assert first.status_code == absent.status_code
    assert first.status_code in (403, 404)
    assert first.text.replace("first", "X") == absent.text.replace("absent", "X").replace("first", "X")


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_its_own_model_answers_by_name_by_path_and_when_none_is_named(
    second: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    for answer in (
        second.post(path, json=body),
        second.post(path, json=body | {"model": "tgi"}),
        second.post(path, json=body | {"model": "org/second"}),
        second.post(f"/org/second{path}".rstrip("/"), json=body),
        second.post(f"/org/second/gpu0{path}".rstrip("/"), json=body | {"model": "first"}),
    ):
        assert answer.status_code == 200, answer.text
        if path.endswith("/chat/completions"):
            assert answer.json()["model"] == "org/second"


def test_lists_have_only_what_it_may_use(second: httpx.Client) -> None:
    assert [model["id"] for model in second.get("/v1/models").json()["data"]] == ["org/second"]
    assert second.get("/v1/models/org/second").json()["id"] == "org/second"
    for name in ("first", "no-such-model"):
        assert_forbidden(second.get(f"/v1/models/{name}"))
    for path in ("/info", "/org/second/info"):
        info = second.get(path).json()
        assert (info["model_id"], info["models"]) == ("org/second", ["org/second"])


def test_with_several_the_first_that_is_served_answers_who_names_none(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    with client_of(server, tokens["two"]) as client:
        assert client.post("/v1/chat/completions", json=CHAT).json()["model"] == "org/second"
        named = client.post("/v1/chat/completions", json=CHAT | {"model": "third"})
        assert named.json()["model"] == "third"
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["org/second", "third"]


def test_of_models_that_are_not_served_it_gets_none(server: RunningServer, tokens: dict[str, str]) -> None:
    with client_of(server, tokens["gone"]) as client:
        assert client.post("/generate", json=TEXT).status_code == 403
        assert client.get("/v1/models").json()["data"] == []
        assert client.post("/generate", json=TEXT | {"model": "first"}).status_code == 403
    with client_of(server, tokens["mixed"]) as client:
        unserved = client.post("/generate", json=TEXT | {"model": "not-served"})
        assert unserved.status_code == 404
        assert unserved.json()["error"]["message"].endswith("there are: third")
        assert client.post("/v1/chat/completions", json=CHAT).json()["model"] == "third"


def test_a_token_without_a_list_may_use_everything(server: RunningServer) -> None:
    with server.client() as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == [
            "first",
            "org/second",
            "third",
        ]
        assert client.post("/third/generate", json=TEXT).status_code == 200
        missing = client.post("/absent/v1/chat/completions", json=CHAT)
        assert missing.status_code == 404
        assert missing.json()["error"]["message"] == (
            "no model named 'absent' is served here; there are: first, org/second, third"
        )


def test_forbidden_requests_are_counted_and_in_the_audit_log_and_ban_nobody(
    server: RunningServer, tokens: dict[str, str], second: httpx.Client
) -> None:
    earlier = Exposition.of(server.url)
    for _ in range(8):
        assert_forbidden(second.post("/generate", json=TEXT | {"model": "first"}))
    assert second.post("/generate", json=TEXT).status_code == 200
    now = Exposition.of(server.url).since(earlier)
    assert now.value("tiber_authentication_failures_total", reason="forbidden") == 8
    assert now.value("tiber_rejected_requests_total", reason="forbidden") == 8
    assert now.value("tiber_rejected_requests_total", reason="banned") == 0
    token_id = tokens["second"].split("_")[1]
    audited = [line for line in server.log.read_text().splitlines() if '"model_forbidden"' in line]
    assert any(token_id in line for line in audited)


def test_with_one_model_served_any_name_will_do_for_a_token_that_may_use_it_and_for_no_other(
    tiny_model: Path, tmp_path: Path
) -> None:
    store = TokenStore(tmp_path / "tokens.json")
    own, other = store.create("own", models=["tiny"]), store.create("other", models=["elsewhere"])
    with running_server(tmp_path, fake_model(tiny_model)) as server:
        for name in ("gpt-4o", "tgi", "tiny"):
            with client_of(server, own) as client:
                answer = client.post("/v1/chat/completions", json=CHAT | {"model": name})
                assert answer.json()["model"] == "tiny"
            with client_of(server, other) as client:
                assert client.post("/v1/chat/completions", json=CHAT | {"model": name}).status_code == 403

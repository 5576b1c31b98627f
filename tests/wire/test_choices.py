"""Several answers to one request run side by side, and end together when one fails or the client leaves."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

LONG = {"temperature": 0, "ignore_eos": True}


@pytest.fixture(scope="module")
def slow_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Steps of 20 ms, and a second for each request."""
    config = fake_model(tiny_model, step_s=0.02, extra="request_timeout_s = 1.0")
    with running_server(tmp_path_factory.mktemp("slow"), config) as server:
        yield server


@pytest.fixture(scope="module")
def client(slow_server: RunningServer) -> Iterator[httpx.Client]:
    with slow_server.client() as client:
        yield client


def wait_idle(client: httpx.Client) -> None:
    """Wait until the engine has no request any more, for a second at most."""
    deadline_s = time.monotonic() + 1
    while time.monotonic() < deadline_s:
        metrics = client.get("/metrics").text
        if 'tiber_running_requests{model="tiny"} 0.0' in metrics:
            return
        time.sleep(0.02)
    raise AssertionError("the engine still has requests")


def chunks_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_best_of_gives_one_answer_and_the_others_beside_it(client: httpx.Client) -> None:
    parameters = {"max_new_tokens": 3, "do_sample": True, "best_of": 3, "details": True}
    answer = client.post("/generate", json={"inputs": "abc", "parameters": parameters})
    details = answer.json()["details"]
    assert len(details["best_of_sequences"]) == 2
    seeds = {details["seed"], *(other["seed"] for other in details["best_of_sequences"])}
    assert len(seeds) == 3
    assert answer.headers["x-generated-tokens"] == "9"


def test_choices_are_in_order_and_count_their_prompt_once(client: httpx.Client) -> None:
    body = {"prompt": ["ab", "cde"], "n": 2, "max_tokens": 4, **LONG}
    whole = client.post("/v1/completions", json=body).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2, 3]
    assert [choice["text"] for choice in whole["choices"]] == ["abab", "abab", "cdec", "cdec"]
    assert whole["usage"] == {"prompt_tokens": 5, "completion_tokens": 16, "total_tokens": 21}
    options = {"stream": True, "stream_options": {"include_usage": True}}
    streamed = chunks_of(client.post("/v1/completions", json={**body, **options}).text)
    texts = ["", "", "", ""]
    for chunk in streamed:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == ["abab", "abab", "cdec", "cdec"]
    assert streamed[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize("is_stream", [False, True])
def test_one_failing_choice_ends_them_all(client: httpx.Client, is_stream: bool) -> None:
    body = {"prompt": ["abc", "<|full|>"], "max_tokens": 40, "stream": is_stream, **LONG}
    started_s = time.monotonic()
    answer = client.post("/v1/completions", json=body)
    assert time.monotonic() - started_s < 0.7
    if answer.status_code == 200:
        assert "error" in chunks_of(answer.text)[-1]
        assert "[DONE]" not in answer.text
    else:
        assert answer.status_code == 503
    wait_idle(client)


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_deadline_ends_them_all(client: httpx.Client, is_stream: bool) -> None:
    answer = client.post(
        "/v1/completions", json={"prompt": "abc", "n": 4, "max_tokens": 200, "stream": is_stream, **LONG}
    )
    error = chunks_of(answer.text)[-1]["error"] if is_stream else answer.json()["error"]
    assert (error["type"], error["code"]) == ("timeout", 504)
    wait_idle(client)


def test_a_client_that_leaves_ends_them_all(slow_server: RunningServer, client: httpx.Client) -> None:
    body = {"prompt": "abc", "n": 4, "max_tokens": 200, **LONG}
    with client.stream("POST", "/v1/completions", json={**body, "stream": True}) as stream:
        next(stream.iter_lines())
    wait_idle(client)
    with pytest.raises(httpx.ReadTimeout), slow_server.client(timeout_s=0.3) as impatient:
        impatient.post("/v1/completions", json=body)
    wait_idle(client)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_bad_prompt_among_good_ones_is_refused_before_anything_runs(
    client: httpx.Client, is_stream: bool
) -> None:
    body = {"prompt": ["abc", "d" * 2_000], "max_tokens": 4, "stream": is_stream, **LONG}
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "prompt"


def test_more_answers_than_requests_allowed_can_never_be_given(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, extra="max_concurrent_requests = 3")
    with running_server(tmp_path, config) as server, server.client() as client:
        body = {"prompt": "abc", "max_tokens": 2, **LONG}
        refused = client.post("/v1/completions", json={**body, "n": 4})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "n"
        assert client.post("/v1/completions", json={**body, "n": 3}).status_code == 200

"""Prompt lookup changes no answer: the default model, served with it and without, side by side."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer, running_server

EXACT = """
[models.properties]
INFERENCE_PRECISION_HINT = "f32"
KV_CACHE_PRECISION = "f32"
DYNAMIC_QUANTIZATION_GROUP_SIZE = "0"
"""
CODE = """def total(items):
    result = 0
    for item in items:
        result = result + item.price
    return result
"""
COPY = f"<|im_start|>user\nRepeat this code exactly:\n{CODE}<|im_end|>\n<|im_start|>assistant\n"
SCHEMA = {
    "type": "object",
    "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "maxItems": 4}},
    "required": ["numbers"],
    "additionalProperties": False,
}
REQUESTS: dict[str, dict[str, Any]] = {
    "greedy": {"max_new_tokens": 60},
    "logprobs": {"max_new_tokens": 30, "details": True},
    "prompt logprobs": {"max_new_tokens": 8, "details": True, "decoder_input_details": True},
    "sampled": {"max_new_tokens": 40, "do_sample": True, "temperature": 0.8, "seed": 5},
    "stop string": {"max_new_tokens": 60, "stop": ["return"]},
    "penalties": {"max_new_tokens": 40, "repetition_penalty": 1.2, "frequency_penalty": 0.4},
    "least tokens": {"max_new_tokens": 60, "min_new_tokens": 30},
    "grammar": {"max_new_tokens": 60, "grammar": {"type": "json", "value": SCHEMA}},
    "one token": {"max_new_tokens": 1},
}


@pytest.fixture(scope="module")
def servers(
    default_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, RunningServer]]:
    model = f'[[models]]\npath = "{default_model}"\ncache_gib = 1\nprefix_caching = false\n'
    with (
        running_server(tmp_path_factory.mktemp("with"), f"{model}prompt_lookup = 5{EXACT}") as looking,
        running_server(tmp_path_factory.mktemp("without"), f"{model}{EXACT}") as plain,
    ):
        yield looking, plain


def _answer(server: RunningServer, parameters: dict[str, Any]) -> dict[str, Any]:
    with server.client() as client:
        response = client.post("/generate", json={"inputs": COPY, "parameters": parameters})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _logprobs(answer: dict[str, Any], part: str) -> list[float | None]:
    return [token["logprob"] for token in answer["details"].get(part) or []]


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_kind_of_request_gets_the_same_answer(
    servers: tuple[RunningServer, RunningServer], kind: str
) -> None:
    looking, plain = (_answer(server, REQUESTS[kind]) for server in servers)
    assert looking["generated_text"] == plain["generated_text"]
    assert looking["details"]["generated_tokens"] == plain["details"]["generated_tokens"]
    for part in ("tokens", "prefill"):
        assert _logprobs(looking, part) == pytest.approx(_logprobs(plain, part), abs=1e-3)


async def test_several_at_once_and_some_that_leave(servers: tuple[RunningServer, RunningServer]) -> None:
    looking, plain = servers
    expected = _answer(plain, REQUESTS["greedy"])["generated_text"]
    async with looking.async_client() as client:
        requests = [{"inputs": COPY, "parameters": REQUESTS[kind]} for kind in list(REQUESTS) * 4]
        leaving = asyncio.create_task(client.post("/generate", json=_long()))
        answers = await asyncio.gather(*(client.post("/generate", json=one) for one in requests))
        leaving.cancel()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["generated_text"] for answer in answers[:: len(REQUESTS)]} == {expected}


def _long() -> dict[str, Any]:
    return {"inputs": COPY, "parameters": {"max_new_tokens": 3000, "ignore_eos": True}}


def test_a_stream_brings_each_token_as_an_event_of_its_own(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    body = {"inputs": COPY, "parameters": {"max_new_tokens": 60, "ignore_eos": True}}
    with servers[0].client() as client:
        response = client.post("/generate_stream", json=body)
    events = [json.loads(frame.removeprefix("data: ")) for frame in response.text.strip().split("\n\n")]
    assert len(events) == 60
    assert events[-1]["generated_text"] == "".join(event["token"]["text"] for event in events)


def test_info_tells_of_it(servers: tuple[RunningServer, RunningServer]) -> None:
    def told(server: RunningServer) -> object:
        with server.client() as client:
            response: httpx.Response = client.get("/info")
        return response.json()["prompt_lookup"]

    assert [told(server) for server in servers] == [5, None]

"""What /generate takes, on the fake backend, which answers with the prompt's own tokens over and over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import CONTEXT_LENGTH, END, fake_model


@pytest.fixture(scope="module")
def client(fake_server: RunningServer) -> Iterator[httpx.Client]:
    with fake_server.client() as client:
        yield client


def _generate(client: httpx.Client, inputs: str = "abc", **parameters: Any) -> httpx.Response:
    return client.post("/generate", json={"inputs": inputs, "parameters": parameters})


def _events(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(frame.removeprefix("data: ")) for frame in response.text.strip().split("\n\n")]


def test_an_answer_has_exactly_the_documented_fields(client: httpx.Client) -> None:
    answer = _generate(client, max_new_tokens=4)
    assert answer.json() == {
        "generated_text": "abca",
        "details": {"finish_reason": "length", "generated_tokens": 4, "seed": None},
    }


def test_details_bring_tokens_with_their_logprobs(client: httpx.Client) -> None:
    details = _generate(client, max_new_tokens=2, details=True).json()["details"]
    assert details["prefill"] == []
    assert [(token["text"], token["logprob"], token["special"]) for token in details["tokens"]] == [
        ("a", -0.5, False),
        ("b", -0.5, False),
    ]


def test_post_to_the_root_answers_a_list(client: httpx.Client) -> None:
    answer = client.post("/", json={"inputs": "ab", "parameters": {"max_new_tokens": 2}}).json()
    assert [item["generated_text"] for item in answer] == ["ab"]


def test_a_stream_is_byte_for_byte_this(client: httpx.Client) -> None:
    stream = client.post("/generate_stream", json={"inputs": f"hé{END}", "parameters": {"max_new_tokens": 9}})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["x-accel-buffering"] == "no"
    ids = [event["token"]["id"] for event in _events(stream)]
    assert stream.text == (
        f'data: {{"index":1,"token":{{"id":{ids[0]},"text":"h","logprob":null,"special":false}},'
        '"generated_text":null,"details":null}\n\n'
        f'data: {{"index":2,"token":{{"id":{ids[1]},"text":"","logprob":null,"special":false}},'
        '"generated_text":null,"details":null}\n\n'
        f'data: {{"index":3,"token":{{"id":{ids[2]},"text":"é","logprob":null,"special":false}},'
        '"generated_text":null,"details":null}\n\n'
        f'data: {{"index":4,"token":{{"id":{ids[3]},"text":"{END}","logprob":null,"special":true}},'
        '"generated_text":"hé","details":{"finish_reason":"eos_token","generated_tokens":4,"seed":null,'
        '"input_length":4}}\n\n'
    )


@pytest.mark.parametrize("path", ["/generate", "/"])
def test_stream_true_streams(client: httpx.Client, path: str) -> None:
    body = {"inputs": "ab", "stream": True, "parameters": {"max_new_tokens": 3}}
    events = _events(client.post(path, json=body))
    assert [event["index"] for event in events] == [1, 2, 3]
    assert events[-1]["generated_text"] == "aba"


@pytest.mark.parametrize("text", ["🙂🚀", "漢字とかな", "a👨‍👩‍👧b", "Ωλ é"])
def test_characters_split_over_tokens_arrive_whole(client: httpx.Client, text: str) -> None:
    count = len(text.encode())
    body = {"inputs": text, "parameters": {"max_new_tokens": count}}
    events = _events(client.post("/generate_stream", json=body))
    assert "".join(event["token"]["text"] for event in events) == text
    assert events[-1]["generated_text"] == text
    assert not any("\ufffd" in event["token"]["text"] for event in events)


def test_an_answer_cut_in_a_character_ends_with_the_replacement_character(client: httpx.Client) -> None:
    assert _generate(client, "a🙂", max_new_tokens=3).json()["generated_text"] == "a\ufffd"


@pytest.mark.parametrize(
    ("stop", "text"),
    [(["cde"], "abcde"), (["zz", "d"], "abcd"), (["é"], "abcdefg" * 3), (["ga", "fg"], "abcdefg")],
)
def test_a_stop_string_split_over_tokens_ends_the_answer_after_itself(
    client: httpx.Client, stop: list[str], text: str
) -> None:
    answer = _generate(client, "abcdefg", max_new_tokens=21, stop=stop).json()
    assert answer["generated_text"] == text
    assert answer["details"]["finish_reason"] == ("length" if len(text) == 21 else "stop_sequence")
    assert answer["details"]["generated_tokens"] == len(text)


def test_a_stream_says_the_same_as_the_answer(client: httpx.Client) -> None:
    parameters = {"max_new_tokens": 12, "stop": ["fa"], "seed": 3}
    answer = _generate(client, "abcdef", **parameters).json()
    last = _events(client.post("/generate_stream", json={"inputs": "abcdef", "parameters": parameters}))[-1]
    assert last["generated_text"] == answer["generated_text"] == "abcdefa"
    assert {key: last["details"][key] for key in answer["details"]} == answer["details"]


def test_return_full_text_puts_the_prompt_first(client: httpx.Client) -> None:
    assert _generate(client, "ab", max_new_tokens=2, return_full_text=True).json()["generated_text"] == "abab"


def test_truncate_keeps_the_last_tokens(client: httpx.Client) -> None:
    answer = _generate(client, "abcdef", max_new_tokens=2, truncate=2)
    assert answer.json()["generated_text"] == "ef"
    assert answer.headers["x-prompt-tokens"] == "2"


@pytest.mark.parametrize(
    ("parameters", "samples"),
    [
        ({}, False),
        ({"temperature": 0.7}, True),
        ({"temperature": 0}, False),
        ({"temperature": 1e-10}, True),
        ({"top_p": 0.9}, True),
        ({"top_k": 5}, True),
        ({"seed": 1}, True),
        ({"do_sample": True}, True),
        ({"do_sample": False, "temperature": 0.7, "seed": 1}, False),
        ({"repetition_penalty": 1.1}, False),
    ],
)
def test_a_seed_is_told_exactly_when_tokens_are_sampled(
    client: httpx.Client, parameters: dict[str, Any], samples: bool
) -> None:
    seed = _generate(client, max_new_tokens=1, **parameters).json()["details"]["seed"]
    assert isinstance(seed, int) if samples else seed is None
    if "seed" in parameters and samples:
        assert seed == parameters["seed"]


def test_headers_tell_where_the_time_went(client: httpx.Client) -> None:
    headers = _generate(client, max_new_tokens=3).headers
    assert headers["x-prompt-tokens"] == "3"
    assert headers["x-generated-tokens"] == "3"
    assert headers["x-compute-type"] == "cpu"
    for name in ("x-queue-time", "x-inference-time", "x-time-per-token", "x-total-time"):
        assert int(headers[name]) >= 0
    assert headers["x-request-id"]


def test_a_clients_request_id_comes_back_unless_it_could_forge_a_log(client: httpx.Client) -> None:
    assert client.get("/health", headers={"x-request-id": "my-id.7"}).headers["x-request-id"] == "my-id.7"
    assert client.get("/health", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_langchains_typical_p_is_accepted_with_a_warning(client: httpx.Client) -> None:
    answer = _generate(client, max_new_tokens=1, typical_p=0.95, watermark=False)
    assert answer.status_code == 200
    assert "typical_p" in answer.headers["warning"]


def test_the_default_number_of_tokens_is_clipped_to_the_room_there_is(client: httpx.Client) -> None:
    answer = _generate(client, "a" * (CONTEXT_LENGTH - 10))
    assert answer.json()["details"]["generated_tokens"] == 10
    assert _generate(client, "a").json()["details"]["generated_tokens"] == 100


@pytest.mark.parametrize("parameters", [None, {}, {"details": None, "stop": None, "seed": None}])
def test_nothing_but_inputs_is_needed_and_null_means_not_given(client: httpx.Client, parameters: Any) -> None:
    assert client.post("/generate", json={"inputs": "a", "parameters": parameters}).status_code == 200


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 100},
        {"top_p": 1},
        {"top_p": 1.0},
        {"top_k": 2**31 - 1},
        {"seed": 0},
        {"seed": 2**63 - 1},
        {"frequency_penalty": -2, "presence_penalty": 2},
        {"stop": ["x"] * 16},
        {"best_of": 1, "top_n_tokens": 0, "typical_p": 1.0, "decoder_input_details": False},
        {"min_new_tokens": 1, "ignore_eos": True},
    ],
)
def test_values_at_the_edge_of_what_is_allowed_are_taken(
    client: httpx.Client, parameters: dict[str, Any]
) -> None:
    assert _generate(client, **{"max_new_tokens": 1, **parameters}).status_code == 200


def test_info_tells_the_model_and_its_limits(client: httpx.Client) -> None:
    info = client.get("/info").json()
    assert info["model_id"] == "tiny"
    assert info["max_total_tokens"] == CONTEXT_LENGTH
    assert info["max_input_tokens"] == CONTEXT_LENGTH - 1
    assert info["max_concurrent_requests"] == 100
    assert (info["device"], info["weight_format"], info["engine"]) == ("CPU", "int8", "fake")
    assert info["reproducible"] is False


def test_info_tells_that_answers_are_reproducible(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, extra="reproducible = true")
    with running_server(tmp_path, config) as server, server.client() as client:
        assert client.get("/info").json()["reproducible"] is True

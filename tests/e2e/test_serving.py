"""The default model, served: what only a real engine can show."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.server import RunningServer, running_server

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
STORY = "<|im_start|>user\nTell a long story about a fox.<|im_end|>\n<|im_start|>assistant\n"


def body(inputs: str = QUESTION, **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


@pytest.fixture(scope="module")
def client(real_server: RunningServer) -> Iterator[httpx.Client]:
    with real_server.client() as client:
        yield client


@pytest.fixture
async def async_client(real_server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    async with real_server.async_client() as client:
        yield client


def generate(client: httpx.Client, inputs: str = QUESTION, **parameters: Any) -> dict[str, Any]:
    response = client.post("/generate", json=body(inputs, **parameters))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def stream(client: httpx.Client, inputs: str = QUESTION, **parameters: Any) -> list[dict[str, Any]]:
    response = client.post("/generate_stream", json=body(inputs, **parameters))
    assert response.status_code == 200, response.text
    return [json.loads(frame.removeprefix("data: ")) for frame in response.text.strip().split("\n\n")]


async def last_event(client: httpx.AsyncClient, request: dict[str, Any]) -> dict[str, Any]:
    last: dict[str, Any] = {}
    async with client.stream("POST", "/generate_stream", json=request) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                last = json.loads(line.removeprefix("data: "))
            elif line:
                last = json.loads(line)
    return last


def spoken(tokens: list[dict[str, Any]]) -> str:
    return "".join(token["text"] for token in tokens if not token["special"])


def test_the_same_seed_gives_the_same_text_and_another_seed_another(client: httpx.Client) -> None:
    def text(seed: int) -> str:
        return str(generate(client, STORY, max_new_tokens=24, temperature=1.0, seed=seed)["generated_text"])

    first = text(1)
    assert text(1) == first
    assert len({first, text(2), text(3)}) > 1


def test_the_seed_that_was_drawn_repeats_the_run(client: httpx.Client) -> None:
    sampled = generate(client, STORY, max_new_tokens=24, do_sample=True)
    seed = sampled["details"]["seed"]
    again = generate(client, STORY, max_new_tokens=24, do_sample=True, seed=seed)
    assert again["generated_text"] == sampled["generated_text"]


def test_greedy_is_the_same_every_time_and_has_no_seed(client: httpx.Client) -> None:
    answers = [generate(client, max_new_tokens=12) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["details"]["seed"] is None
    assert "Paris" in answers[0]["generated_text"]


def test_an_answer_ends_by_itself_with_eos_token(client: httpx.Client) -> None:
    answer = generate(client, max_new_tokens=100, details=True)
    assert answer["details"]["finish_reason"] == "eos_token"
    assert "<|im_end|>" not in answer["generated_text"]
    end = answer["details"]["tokens"][-1]
    assert (end["text"], end["special"]) == ("<|im_end|>", True)
    assert answer["details"]["generated_tokens"] == len(answer["details"]["tokens"])


def test_ignore_eos_and_min_new_tokens_go_on_past_the_end(client: httpx.Client) -> None:
    ending = generate(client, max_new_tokens=60)["details"]["generated_tokens"]
    assert ending < 60
    ignoring = generate(client, max_new_tokens=60, ignore_eos=True)["details"]
    assert (ignoring["finish_reason"], ignoring["generated_tokens"]) == ("length", 60)
    at_least = generate(client, max_new_tokens=60, min_new_tokens=ending + 5)["details"]
    assert at_least["generated_tokens"] >= ending + 5


def test_a_stop_string_split_over_tokens_ends_the_answer_with_itself(client: httpx.Client) -> None:
    whole = generate(client, max_new_tokens=30, details=True)
    tokens = [token for token in whole["details"]["tokens"] if not token["special"]]
    # From the middle of one token into the next one.
    stop = tokens[2]["text"][-2:] + tokens[3]["text"][:2]
    text = whole["generated_text"]
    expected = text[: text.index(stop) + len(stop)]
    answer = generate(client, max_new_tokens=30, stop=["never this", stop])
    assert answer["generated_text"] == expected
    assert answer["details"]["finish_reason"] == "stop_sequence"
    events = stream(client, max_new_tokens=30, stop=[stop])
    assert spoken([event["token"] for event in events]) == events[-1]["generated_text"] == expected


@pytest.mark.parametrize("text", ["Say: 🙂👩‍👧 ", "数えて: 一二三", "שלום é\u0301 "])
def test_the_full_text_has_the_prompt_as_it_was_sent(client: httpx.Client, text: str) -> None:
    answer = generate(client, text, max_new_tokens=6, return_full_text=True)
    assert answer["generated_text"].startswith(text)
    events = stream(client, text, max_new_tokens=6, return_full_text=True)
    assert events[-1]["generated_text"] == answer["generated_text"]
    assert not spoken([event["token"] for event in events]).startswith(text)


def test_emoji_come_whole_in_a_stream(client: httpx.Client) -> None:
    events = stream(client, "Repeat: 🙂🚀🌍🙂🚀🌍🙂🚀🌍🙂🚀🌍🙂🚀🌍🙂🚀", max_new_tokens=24)
    pieces = [event["token"]["text"] for event in events if not event["token"]["special"]]
    assert "".join(pieces) == events[-1]["generated_text"]
    assert not any("\ufffd" in piece for piece in pieces[:-1])
    assert any(ord(character) > 0xFFFF for piece in pieces for character in piece)


def test_a_logprob_is_null_unless_details_are_asked_for(client: httpx.Client) -> None:
    assert [event["token"]["logprob"] for event in stream(client, max_new_tokens=4)] == [None] * 4
    asked = [event["token"]["logprob"] for event in stream(client, max_new_tokens=4, details=True)]
    assert all(isinstance(logprob, float) and logprob <= 0 for logprob in asked)


def test_top_k_1_is_greedy_and_a_penalty_changes_the_text(client: httpx.Client) -> None:
    greedy = generate(client, STORY, max_new_tokens=40)["generated_text"]
    assert generate(client, STORY, max_new_tokens=40, top_k=1)["generated_text"] == greedy
    assert generate(client, STORY, max_new_tokens=40, repetition_penalty=1.8)["generated_text"] != greedy


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 1e-300},
        {"temperature": 100, "top_p": 1e-6, "top_k": 2**31 - 1},
        {"repetition_penalty": 1e-6},
        {"repetition_penalty": 1e6, "frequency_penalty": 2, "presence_penalty": -2},
        {"seed": 2**63 - 1},
        {"top_k": 1, "top_p": 1, "temperature": 1},
        {"min_new_tokens": 3, "max_new_tokens": 3, "ignore_eos": True, "details": True},
    ],
    ids=str,
)
def test_the_engine_takes_every_value_at_the_edge(client: httpx.Client, parameters: dict[str, Any]) -> None:
    assert generate(client, **{"max_new_tokens": 3, **parameters})["details"]["generated_tokens"] <= 3


def test_one_token_over_the_longest_prompt_is_refused_and_truncate_makes_it_fit(client: httpx.Client) -> None:
    most = client.get("/info").json()["max_input_tokens"]
    words = " hello" * (most + 1)
    refused = client.post("/generate", json=body(words))
    assert refused.status_code == 400
    assert str(most) in refused.json()["error"]["message"]
    assert str(most + 1) in refused.json()["error"]["message"]
    cut = client.post("/generate", json=body(words, truncate=20, max_new_tokens=1))
    assert cut.headers["x-prompt-tokens"] == "20"


@pytest.mark.parametrize(
    "grammar",
    [
        {"type": "json", "value": {"type": "nope"}},
        {"type": "json", "value": "{"},
        {"type": "regex", "value": "[a-z"},
        {"type": "json", "value": {"$ref": "#/nowhere"}},
    ],
    ids=str,
)
async def test_a_broken_grammar_is_400_and_costs_nobody_else_anything(
    async_client: httpx.AsyncClient, grammar: dict[str, Any]
) -> None:
    others = [
        asyncio.create_task(last_event(async_client, body(STORY, max_new_tokens=60, ignore_eos=True)))
        for _ in range(3)
    ]
    refused = await async_client.post("/generate", json=body(grammar=grammar, max_new_tokens=5))
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["type"] == "validation"
    assert "grammar" in refused.json()["error"]["message"]
    for event in await asyncio.gather(*others):
        assert event["details"]["generated_tokens"] == 60
    assert (await async_client.post("/generate", json=body(max_new_tokens=2))).status_code == 200


async def test_a_good_grammar_pays_for_no_explosive_one_before_it(async_client: httpx.AsyncClient) -> None:
    explosive = {"type": "regex", "value": "((a{1,500}){1,500}){1,500}"}
    leaving = asyncio.create_task(async_client.post("/generate", json=body(grammar=explosive)))
    await asyncio.sleep(0.5)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    good = {"type": "regex", "value": "(Paris|London)"}
    answer = await async_client.post("/generate", json=body(grammar=good, max_new_tokens=4))
    assert answer.status_code == 200, answer.text


def test_a_regex_shapes_the_answer(client: httpx.Client) -> None:
    answer = generate(client, grammar={"type": "regex", "value": "(Paris|Rome)!"}, max_new_tokens=10)
    assert answer["generated_text"] in ("Paris!", "Rome!")


async def test_twenty_different_streams_at_once_all_complete(async_client: httpx.AsyncClient) -> None:
    requests = [
        body(STORY, max_new_tokens=48, ignore_eos=True),
        body(QUESTION, max_new_tokens=30, details=True),
        body(STORY, max_new_tokens=24, temperature=0.9, seed=5),
        body("数えて: 一二三 🙂", max_new_tokens=16, return_full_text=True),
        body(QUESTION * 20, max_new_tokens=8, top_k=5, repetition_penalty=1.2),
    ]
    ends = await asyncio.gather(*(last_event(async_client, request) for request in requests * 4))
    assert [end["details"] is not None for end in ends] == [True] * 20
    reasons = {end["details"]["finish_reason"] for end in ends}
    assert reasons <= {"length", "eos_token"}
    assert all(end["details"]["generated_tokens"] == 48 for end in ends[::5])
    # Seeds are each request's own: its neighbours in the batch make no difference to who draws what.
    assert {end["details"]["seed"] for end in ends[2::5]} == {5}


async def test_clients_that_leave_free_the_engine(async_client: httpx.AsyncClient) -> None:
    began_s = time.monotonic()
    await async_client.post("/generate", json=body(max_new_tokens=8, ignore_eos=True))
    alone_s = time.monotonic() - began_s
    long = body(STORY, max_new_tokens=1500, ignore_eos=True)
    leaving = [asyncio.create_task(async_client.post(path, json=long)) for path in ("/generate", "/") * 16]
    await asyncio.sleep(1.0)
    assert not any(task.done() for task in leaving)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    await asyncio.sleep(0.5)
    began_s = time.monotonic()
    answer = await async_client.post("/generate", json=body(max_new_tokens=8, ignore_eos=True))
    assert answer.status_code == 200
    assert time.monotonic() - began_s < 3 * alone_s + 0.5


def test_the_event_loop_gives_way_to_the_engine(real_server: RunningServer) -> None:
    assert os.sched_getscheduler(real_server.process.pid) == os.SCHED_BATCH
    assert os.sched_getscheduler(real_server.engine_pid()) == os.SCHED_OTHER


async def test_kill_9_of_the_engine_ends_20_streams_within_a_second_and_it_comes_back(
    default_model: Path, tmp_path: Path
) -> None:
    config = f'[[models]]\npath = "{default_model}"\ncache_gib = 1\n'
    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:
            request = body(STORY, max_new_tokens=1000, ignore_eos=True)
            streams = [asyncio.create_task(last_event(client, request)) for _ in range(20)]
            await asyncio.sleep(1.5)
            assert not any(task.done() for task in streams)
            engine_pid = server.engine_pid()
            os.kill(engine_pid, signal.SIGKILL)
            killed_s = time.monotonic()
            ends = await asyncio.gather(*streams)
            assert time.monotonic() - killed_s < 1.0
            assert [end["error"]["code"] for end in ends] == [503] * 20
            assert (await client.get("/health")).status_code == 503
            statuses = set()
            while time.monotonic() - killed_s < 15:
                answer = await client.post("/generate", json=body(max_new_tokens=8))
                statuses.add(answer.status_code)
                if answer.status_code == 200:
                    break
                await asyncio.sleep(0.1)
            assert statuses == {200, 503}
            assert "Paris" in answer.json()["generated_text"]
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_exit() == 0
        assert not psutil.pid_exists(engine_pid)

"""Text and pictures at once, and clients that leave while theirs is looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from export.demo_vlm.evaluate import held_out
from tests.support.bad_images import encoded
from tests.support.exposition import Exposition
from tests.support.pictures import VISION_MODEL, asked, jpeg, one_shape
from tests.support.server import RunningServer

QUESTIONS = {
    "What is the capital of France?": "Paris",
    "What is the capital of Italy?": "Rome",
    "What is the capital of Japan?": "Tokyo",
}
POLLS, POLL_S = 100, 0.1


@pytest.fixture
async def client(vision_server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    async with vision_server.async_client(timeout_s=60) as client:
        yield client


def about_text(question: str, model: str) -> dict[str, Any]:
    inputs = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    return {"model": model, "inputs": inputs, "parameters": {"max_new_tokens": 16}}


def about_picture(data: bytes, question: str, **parameters: Any) -> dict[str, Any]:
    return {"inputs": asked(data, question), "parameters": {"max_new_tokens": 48, **parameters}}


async def text(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await client.post("/generate", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["generated_text"]).strip()


async def test_texts_and_pictures_at_once_are_all_answered_for_themselves(client: httpx.AsyncClient) -> None:
    examples = held_out(30)
    pictures = [about_picture(encoded(one.picture, "PNG"), one.question) for one in examples]
    models = ("smollm2-135m-instruct", VISION_MODEL)
    texts = [about_text(question, model) for question in QUESTIONS for model in models for _ in range(3)]
    alone = [await text(client, about_text(question, models[0])) for question in QUESTIONS]
    # One list, mixed, so that both kinds are in the engine together.
    mixed = [body for pair in zip(pictures, texts * 2, strict=False) for body in pair]
    answers = await asyncio.gather(*(text(client, body) for body in mixed))
    right = [answer == one.answer for answer, one in zip(answers[::2], examples, strict=True)]
    assert sum(right) >= 0.9 * len(right)
    # Beside others sums are rounded differently, so a text may differ late, but not what it is about.
    for body, answer in zip(texts * 2, answers[1::2], strict=False):
        if body["model"] == models[0]:
            number = next(index for index, question in enumerate(QUESTIONS) if question in body["inputs"])
            assert answer[:20] == alone[number][:20]
        assert answer


async def until_idle(server: RunningServer) -> None:
    for _ in range(POLLS):
        seen = Exposition.of(server.url)
        counts = [seen.value(f"tiber_{kind}_requests", model=VISION_MODEL) for kind in ("running", "waiting")]
        if counts == [0, 0]:
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"still {counts} running and waiting requests")


async def test_the_engine_forgets_the_pictures_of_clients_that_leave(
    vision_server: RunningServer, client: httpx.AsyncClient
) -> None:
    endless = {"max_new_tokens": 4000, "ignore_eos": True}
    restarts = Exposition.of(vision_server.url).value("tiber_engine_restarts_total", model=VISION_MODEL)
    data = [jpeg(one_shape("circle", "red", quarter=quarter), 1024) for quarter in range(4)]
    leaving = [
        asyncio.create_task(
            client.post("/generate", json=about_picture(one, "Describe the image.", **endless))
        )
        for one in data * 4
    ]
    async with client.stream(
        "POST", "/generate_stream", json=about_picture(data[0], "Describe the image.", **endless)
    ) as response:
        # It runs, and so do some of the others; the rest still wait for theirs to be encoded.
        await anext(response.aiter_lines())
        assert Exposition.of(vision_server.url).value("tiber_running_requests", model=VISION_MODEL) > 1
        assert not any(task.done() for task in leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        # Whoever stays is answered meanwhile.
        answer = await text(
            client,
            about_picture(
                jpeg(one_shape("square", "blue", background="black", quarter=3)),
                "What is the background color?",
            ),
        )
        assert answer == "Black"
    await until_idle(vision_server)
    assert (
        Exposition.of(vision_server.url).value("tiber_engine_restarts_total", model=VISION_MODEL) == restarts
    )

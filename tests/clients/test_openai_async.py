"""openai's asynchronous client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.clients.chat import MESSAGES, WeatherQuery
from tests.support.server import RunningServer

pytestmark = pytest.mark.client("openai")


@pytest.fixture
async def client(real_server: RunningServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{real_server.url}/v1", api_key=real_server.token, max_retries=0, timeout=30
    ) as client:
        yield client


async def ask(client: openai.AsyncOpenAI, **options: Any) -> Any:
    given = {"model": "any", "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 12, **options}
    return await client.chat.completions.create(**given)


@pytest.mark.call("AsyncOpenAI, chat.completions.create")
async def test_several_chats_at_once_get_the_same_answer(client: openai.AsyncOpenAI) -> None:
    answers = await asyncio.gather(*(ask(client) for _ in range(4)))
    texts = {answer.choices[0].message.content for answer in answers}
    assert all("Paris" in text for text in texts)
    assert len({answer.id for answer in answers}) == 4


@pytest.mark.call("AsyncOpenAI, chat.completions.create(stream=True)")
async def test_a_chat_streams(client: openai.AsyncOpenAI) -> None:
    pieces = [chunk.choices[0].delta.content or "" async for chunk in await ask(client, stream=True)]
    assert len(pieces) > 3
    assert "Paris" in "".join(pieces)


@pytest.mark.call("AsyncOpenAI, chat.completions.parse")
async def test_parse_gives_the_model_that_was_asked_for(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.parse(
        model="any", messages=MESSAGES, response_format=WeatherQuery, temperature=0, max_completion_tokens=60
    )
    assert isinstance(completion.choices[0].message.parsed, WeatherQuery)


@pytest.mark.call("AsyncOpenAI, completions.create, models.list")
async def test_completions_and_models(client: openai.AsyncOpenAI) -> None:
    (model,) = [model async for model in client.models.list()]
    completion = await client.completions.create(model=model.id, prompt="One, two,", max_tokens=4)
    assert completion.choices[0].text


@pytest.mark.call("AsyncOpenAI, errors typed")
async def test_a_bad_request_is_typed(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        await ask(client, temperature=-1)

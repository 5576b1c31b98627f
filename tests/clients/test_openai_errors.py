"""openai's typed exceptions, and what becomes of the work behind them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.chat import MESSAGES
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

pytestmark = pytest.mark.client("openai")

# The backend echoes it in 240 steps of 50 ms: without a cancel, its place would stay taken for 12 s.
LONG_ANSWER = {"messages": [{"role": "user", "content": "x" * 240}], "max_completion_tokens": 240}


@pytest.fixture
def narrow_client(narrow_server: RunningServer) -> Iterator[openai.OpenAI]:
    with client_of(narrow_server) as client:
        yield client


def client_of(server: RunningServer, **options: Any) -> openai.OpenAI:
    given = {
        "base_url": f"{server.url}/v1",
        "api_key": server.token,
        "max_retries": 0,
        "timeout": 30,
        **options,
    }
    return openai.OpenAI(**given)


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "any", "messages": MESSAGES, **options})


def assert_place_is_free_soon(client: openai.OpenAI) -> None:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            ask(client, max_completion_tokens=1)
        except openai.RateLimitError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the place is still taken after 2 s")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"messages": []}, "messages"),
        ({"extra_body": {"no_such_option": 1}}, "no_such_option"),
        ({"tools": [{"type": "function"}]}, "tools"),
    ],
    ids=["temperature", "limit", "no message", "unknown", "tools"],
)
@pytest.mark.call("chat.completions.create, invalid: BadRequestError")
def test_a_bad_request_is_named(openai_client: openai.OpenAI, options: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError, match=param) as caught:
        ask(openai_client, **options)
    error = caught.value
    assert error.status_code == 400
    assert error.param is not None
    assert error.param.startswith(param)
    assert error.type == "validation"
    assert isinstance(error.body, dict)
    assert error.body["message"]
    assert error.request_id


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"stop": 5}, "stop"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    ],
    ids=["tool_choice", "stop", "content"],
)
def test_a_bad_value_of_several_types_is_named_without_the_types(
    openai_client: openai.OpenAI, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(openai_client, **options)
    assert caught.value.param == param
    assert "function-after" not in caught.value.message


@pytest.mark.call("chat.completions.create, too long: BadRequestError")
def test_too_long_a_prompt_is_refused_with_both_numbers(openai_client: openai.OpenAI) -> None:
    long = [{"role": "user", "content": "word " * 9_000}]
    with pytest.raises(openai.BadRequestError, match=r"\d{4}.*\d{4}"):
        ask(openai_client, messages=long)


@pytest.mark.call("chat.completions.create, invalid and streamed: BadRequestError")
def test_a_bad_request_is_known_before_a_stream_begins(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="top_p"):
        ask(openai_client, top_p=2, stream=True)


@pytest.mark.call("chat.completions.create, wrong key: AuthenticationError")
def test_a_wrong_key_is_an_authentication_error(
    openai_client: openai.OpenAI, real_server: RunningServer
) -> None:
    with (
        client_of(real_server, api_key="wrong") as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        ask(stranger)
    assert caught.value.type == "unauthorized"
    # A right one clears the count of wrong ones.
    assert openai_client.models.list()


@pytest.mark.call("embeddings.create, responses.create: NotFoundError")
def test_what_is_not_served_is_not_found(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.embeddings.create(model="any", input="text")
    assert caught.value.type == "not_found"
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.create(model="any", input="text")


@pytest.mark.call("chat.completions.create, overloaded: RateLimitError")
def test_one_request_too_many_is_a_rate_limit_error(narrow_client: openai.OpenAI) -> None:
    with ask(narrow_client, stream=True, **LONG_ANSWER) as stream:
        next(stream)
        with pytest.raises(openai.RateLimitError) as caught:
            ask(narrow_client, max_completion_tokens=1)
    assert caught.value.type == "overloaded"
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert_place_is_free_soon(narrow_client)


@pytest.mark.call("chat.completions.create(stream=True), left midway")
def test_leaving_a_stream_frees_its_place(narrow_client: openai.OpenAI) -> None:
    with ask(narrow_client, stream=True, **LONG_ANSWER) as stream:
        for _, _ in zip(range(3), stream, strict=False):
            pass
    assert_place_is_free_soon(narrow_client)


@pytest.mark.call("chat.completions.create(timeout): APITimeoutError")
def test_a_clients_timeout_frees_its_place(narrow_client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        ask(narrow_client.with_options(timeout=0.3), **LONG_ANSWER)
    assert_place_is_free_soon(narrow_client)


@pytest.mark.call("chat.completions.create(stream=True), engine dies: APIError")
def test_an_engine_that_dies_midway_ends_the_stream_with_an_error(tiny_model: Path, tmp_path: Path) -> None:
    config = fake_model(tiny_model, step_s=0.02)
    with running_server(tmp_path, config) as server, client_of(server) as client:
        with ask(client, stream=True, **LONG_ANSWER) as stream:
            next(stream)
            os.kill(server.engine_pid(), signal.SIGKILL)
            with pytest.raises(openai.APIError) as caught:
                list(stream)
        assert caught.value.type == "unavailable"

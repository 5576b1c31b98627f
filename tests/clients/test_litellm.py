"""litellm, in its own environment."""

import json

import pytest

from tests.clients.environments import Outcomes, run_calls
from tests.support.server import RunningServer

pytestmark = pytest.mark.client("litellm")


@pytest.fixture(scope="module")
def outcomes(real_server: RunningServer) -> Outcomes:
    return run_calls("litellm", "litellm_calls", real_server)


@pytest.mark.call("completion(openai/…)")
def test_a_chat_is_answered_with_usage(outcomes: Outcomes) -> None:
    answer = outcomes.result("chat")
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert 0 < answer["usage"]["completion_tokens"] <= 12


@pytest.mark.parametrize(
    ("call", "whole"), [("chat, stream", "chat"), ("chat, huggingface, stream", "chat, huggingface")]
)
@pytest.mark.call("completion(stream=True)")
def test_a_chat_streams(outcomes: Outcomes, call: str, whole: str) -> None:
    assert outcomes.result(call) == outcomes.result(whole)["choices"][0]["message"]["content"]


@pytest.mark.call("acompletion(openai/…)")
def test_the_asynchronous_call_gets_the_same(outcomes: Outcomes) -> None:
    first, other = (outcomes.result(call)["choices"][0]["message"] for call in ("chat", "chat, async"))
    assert first["content"] == other["content"]


@pytest.mark.call("completion(tools, tool_choice=required)")
def test_a_required_tool_is_called(outcomes: Outcomes) -> None:
    (call,) = outcomes.result("chat, tools")["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"])["city"] in ("Paris", "Rome")


@pytest.mark.call("completion(huggingface/tgi, api_base)")
def test_its_hugging_face_route_works(outcomes: Outcomes) -> None:
    assert "Paris" in outcomes.result("chat, huggingface")["choices"][0]["message"]["content"]


@pytest.mark.call("text_completion(text-completion-openai/…), plain and streamed")
def test_a_prompt_is_continued(outcomes: Outcomes) -> None:
    assert "Paris" in outcomes.result("text")
    assert outcomes.result("text, stream") == outcomes.result("text")


@pytest.mark.call("completion, invalid: BadRequestError")
def test_a_bad_request_is_typed(outcomes: Outcomes) -> None:
    error = outcomes.error("chat, invalid")
    assert error["type"] == "litellm.exceptions.BadRequestError"
    assert "top_p" in error["message"]


@pytest.mark.call("completion, wrong key: AuthenticationError")
def test_a_wrong_key_is_typed(outcomes: Outcomes) -> None:
    assert outcomes.error("chat, wrong key")["type"] == "litellm.exceptions.AuthenticationError"
    assert outcomes.result("chat, after")

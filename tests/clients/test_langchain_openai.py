"""langchain-openai's ChatOpenAI and OpenAI."""

from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import SecretStr

from tests.clients.chat import QUESTION, City, WeatherQuery
from tests.support.server import RunningServer

pytestmark = pytest.mark.client("langchain-openai")

# What the model was trained with: after others its answer is a matter of the CPU's rounding.
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@tool
def get_weather(city: City) -> str:
    """Look the weather up."""
    return f"It is sunny in {city}."


@pytest.fixture
def chat(real_server: RunningServer) -> ChatOpenAI:
    return ChatOpenAI(
        model="any",
        base_url=f"{real_server.url}/v1",
        api_key=SecretStr(real_server.token),
        temperature=0,
        max_completion_tokens=80,
        max_retries=0,
        timeout=30,
    )


@pytest.mark.call("ChatOpenAI.invoke")
def test_a_chat_is_answered_with_usage(chat: ChatOpenAI) -> None:
    answer = chat.invoke([SystemMessage(SYSTEM), HumanMessage(QUESTION)])
    assert "Paris" in answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["finish_reason"] in ("stop", "length")


@pytest.mark.call("ChatOpenAI.stream, astream")
async def test_a_chat_streams(chat: ChatOpenAI) -> None:
    whole = chat.invoke(QUESTION).text
    assert "".join(chunk.text for chunk in chat.stream(QUESTION)) == whole
    assert "".join([chunk.text async for chunk in chat.astream(QUESTION)]) == whole


@pytest.mark.parametrize("choice", ["any", "get_weather"])
@pytest.mark.call("ChatOpenAI.bind_tools(tool_choice)")
def test_a_bound_tool_is_called_and_its_result_taken(chat: ChatOpenAI, choice: str) -> None:
    said = chat.bind_tools([get_weather], tool_choice=choice).invoke(QUESTION)
    assert isinstance(said, AIMessage)
    (call,) = said.tool_calls
    assert call["name"] == "get_weather"
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert (
        chat.bind_tools([get_weather], tool_choice="none").invoke([HumanMessage(QUESTION), said, result]).text
    )


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.call("ChatOpenAI.with_structured_output")
def test_an_answer_has_the_structure_that_was_asked_for(chat: ChatOpenAI, method: Any) -> None:
    answer = chat.with_structured_output(WeatherQuery, method=method).invoke(QUESTION)
    assert isinstance(answer, WeatherQuery)


@pytest.mark.call("ChatOpenAI, invalid: BadRequestError")
def test_a_bad_request_is_openais_own(chat: ChatOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="top_p"):
        chat.invoke(QUESTION, top_p=7)


@pytest.mark.call("OpenAI.invoke, stream, batch")
def test_a_prompt_is_continued(real_server: RunningServer) -> None:
    llm = OpenAI(
        model="any",
        base_url=f"{real_server.url}/v1",
        api_key=SecretStr(real_server.token),
        temperature=0,
        max_tokens=8,
        max_retries=0,
    )
    prompt = "The capital of France is"
    whole = llm.invoke(prompt)
    assert "Paris" in whole
    assert "".join(llm.stream(prompt)) == whole
    assert llm.batch([prompt, prompt]) == [whole, whole]

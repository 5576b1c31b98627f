"""langchain-huggingface's HuggingFaceEndpoint."""

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint

from tests.clients.chat import QUESTION
from tests.support.server import RunningServer

pytestmark = pytest.mark.client("langchain-huggingface")

PROMPT = f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"


def endpoint(server: RunningServer, **options: Any) -> HuggingFaceEndpoint:
    # To a URL that is not Hugging Face's it sends no token of its own accord.
    return HuggingFaceEndpoint(endpoint_url=server.url, server_kwargs={"headers": server.headers}, **options)


@pytest.mark.call("HuggingFaceEndpoint.invoke, its defaults")
def test_its_defaults_are_answered(real_server: RunningServer) -> None:
    assert "Paris" in endpoint(real_server).invoke(PROMPT)


@pytest.mark.call("HuggingFaceEndpoint.invoke(stop)")
def test_a_stop_string_is_cut_off_by_the_client(real_server: RunningServer) -> None:
    answer = endpoint(real_server, max_new_tokens=20).invoke(PROMPT, stop=["Paris"])
    assert answer.strip()
    assert "Paris" not in answer


@pytest.mark.call("HuggingFaceEndpoint.stream, astream")
async def test_a_text_streams(real_server: RunningServer) -> None:
    llm = endpoint(real_server, max_new_tokens=6)
    whole = llm.invoke(PROMPT)
    assert "".join(llm.stream(PROMPT)) == whole
    async with llm.async_client:
        assert "".join([piece async for piece in llm.astream(PROMPT)]) == whole


@pytest.mark.call("ChatHuggingFace.invoke, stream")
def test_a_chat_is_answered(real_server: RunningServer) -> None:
    llm = endpoint(real_server, max_new_tokens=12, temperature=0.01)
    chat = ChatHuggingFace(llm=llm, model_id="any")
    answer = chat.invoke([HumanMessage(QUESTION)])
    assert "Paris" in answer.text
    assert "Paris" in "".join(chunk.text for chunk in chat.stream([HumanMessage(QUESTION)]))

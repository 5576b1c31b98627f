"""litellm, through its `openai`, `text-completion-openai` and `huggingface` routes."""

import asyncio
from typing import Any

import litellm

from tests.clients.calls.report import CHAT_PROMPT, QUESTION, Calls, report

litellm.telemetry = False
litellm.num_retries = 0

MESSAGES = [{"role": "user", "content": QUESTION}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look the weather up.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def calls(url: str, token: str) -> Calls:
    def ask(route: str = "openai/any", **options: Any) -> Any:
        base = url if route.startswith("huggingface") else f"{url}/v1"
        given = {"messages": MESSAGES, "temperature": 0, "max_tokens": 12, "timeout": 30, **options}
        return litellm.completion(model=route, **{"api_base": base, "api_key": token, **given})

    return {
        "chat": lambda: _dump(ask()),
        "chat, stream": lambda: _joined(ask(stream=True)),
        "chat, async": lambda: _dump(asyncio.run(_asynchronous(url, token))),
        "chat, tools": lambda: _dump(ask(tools=[WEATHER], tool_choice="required", max_tokens=80)),
        "chat, huggingface": lambda: _dump(ask("huggingface/tgi")),
        "chat, huggingface, stream": lambda: _joined(ask("huggingface/tgi", stream=True)),
        "text": lambda: _text(url, token),
        "text, stream": lambda: _joined_text(url, token),
        "chat, invalid": lambda: ask(top_p=7),
        "chat, wrong key": lambda: ask(api_key="wrong"),
        # A right one clears the count of wrong ones.
        "chat, after": lambda: _dump(ask(max_tokens=1)),
    }


async def _asynchronous(url: str, token: str) -> Any:
    return await litellm.acompletion(
        model="openai/any",
        messages=MESSAGES,
        temperature=0,
        max_tokens=12,
        api_base=f"{url}/v1",
        api_key=token,
    )


def _text(url: str, token: str, **options: Any) -> Any:
    answer = litellm.text_completion(
        model="text-completion-openai/any",
        prompt=CHAT_PROMPT,
        temperature=0,
        max_tokens=8,
        api_base=f"{url}/v1",
        api_key=token,
        **options,
    )
    return answer if options else answer.choices[0].text


def _joined_text(url: str, token: str) -> str:
    return "".join(chunk.choices[0].text or "" for chunk in _text(url, token, stream=True))


def _joined(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def _dump(answer: Any) -> Any:
    return answer.model_dump(mode="json")


if __name__ == "__main__":
    # Its `huggingface` route looks every model up there first, and goes on without an answer.
    report(calls, tolerated_hosts=["huggingface.co"])

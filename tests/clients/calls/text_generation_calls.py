"""text-generation's Client and AsyncClient, TGI's own of old."""

import asyncio
from typing import Any

from text_generation import AsyncClient, Client
from text_generation.types import Grammar, GrammarType, Message

from tests.clients.calls.report import CHAT_PROMPT, QUESTION, Calls, report

MESSAGES = [Message(role="user", content=QUESTION)]
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}


def calls(url: str, token: str) -> Calls:
    headers = {"Authorization": f"Bearer {token}"}
    client, stranger = Client(url, headers=headers, timeout=30), Client(url, headers={}, timeout=30)
    return {
        "generate": lambda: client.generate(CHAT_PROMPT, max_new_tokens=8).model_dump(),
        "generate, every parameter": lambda: _with_every_parameter(client),
        "generate, stop": lambda: client.generate(
            CHAT_PROMPT, max_new_tokens=20, stop_sequences=["Paris"]
        ).model_dump(),
        "generate, best_of": lambda: client.generate(
            CHAT_PROMPT, max_new_tokens=8, best_of=2, do_sample=True
        ).model_dump(),
        "generate, grammar": lambda: (
            client.generate(
                CHAT_PROMPT, max_new_tokens=40, grammar=Grammar(type=GrammarType.Json, value=SCHEMA)
            ).generated_text
        ),
        "generate_stream": lambda: [
            event.model_dump() for event in client.generate_stream(CHAT_PROMPT, max_new_tokens=8)
        ],
        "generate, invalid": lambda: client.generate(CHAT_PROMPT, max_new_tokens=10**6),
        "generate_stream, invalid": lambda: list(client.generate_stream(CHAT_PROMPT, max_new_tokens=10**6)),
        "generate, no token": lambda: stranger.generate(CHAT_PROMPT),
        "chat": lambda: client.chat(MESSAGES, max_tokens=12, temperature=0).model_dump(),
        "chat, stream": lambda: _streamed_chat(client),
        "async": lambda: asyncio.run(_asynchronous(url, headers)),
    }


def _with_every_parameter(client: Client) -> dict[str, Any]:
    return client.generate(
        CHAT_PROMPT,
        do_sample=True,
        max_new_tokens=5,
        best_of=1,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        return_full_text=True,
        seed=3,
        stop_sequences=["\n\n\n"],
        temperature=0.8,
        top_k=40,
        top_p=0.9,
        truncate=1000,
        typical_p=0.95,
        watermark=False,
        decoder_input_details=True,
    ).model_dump()


def _streamed_chat(client: Client) -> str:
    pieces = client.chat(MESSAGES, max_tokens=12, temperature=0, stream=True)
    return "".join(piece.choices[0].delta.content or "" for piece in pieces)


async def _asynchronous(url: str, headers: dict[str, str]) -> dict[str, Any]:
    client = AsyncClient(url, headers=headers, timeout=30)
    whole = await client.generate(CHAT_PROMPT, max_new_tokens=8)
    events = [event async for event in client.generate_stream(CHAT_PROMPT, max_new_tokens=8)]
    return {
        "whole": whole.generated_text,
        "streamed": events[-1].generated_text,
        "error": await _error_of(client),
    }


async def _error_of(client: AsyncClient) -> str | None:
    try:
        await client.generate(CHAT_PROMPT, max_new_tokens=10**6)
    except Exception as error:  # noqa: BLE001 - its type is what the tests look at
        return type(error).__name__
    return None


if __name__ == "__main__":
    report(calls)

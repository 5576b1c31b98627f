"""Every kind of stream, byte for byte, as recorded in the folder transcripts.

Ids, times and versions are replaced by their names. After a wanted change:
`pytest tests/wire/test_transcripts.py --update-transcripts`, then read the diff.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

FOLDER = Path(__file__).parent / "transcripts"
TOOL_CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

CONTINUOUS_USAGE = {"include_usage": True, "continuous_usage_stats": True}


def chat(content: str, **options: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": content}], "stream": True, **options}


def completion(prompt: Any, **options: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": prompt, "max_tokens": 3, "stream": True, **options}


def generate(inputs: str, **parameters: Any) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "generate": ("/generate", {**generate("aé🙂", max_new_tokens=7), "stream": True}),
    "generate_stream": ("/generate_stream", generate("abc", max_new_tokens=3)),
    "generate_stream_details": ("/generate_stream", generate("abc", max_new_tokens=3, details=True)),
    "generate_stream_eos": ("/generate_stream", generate("ab<|end|>", max_new_tokens=9)),
    "generate_stream_full_text": (
        "/generate_stream",
        generate("abc", max_new_tokens=2, return_full_text=True),
    ),
    "generate_stream_stop": ("/generate_stream", generate("one two", max_new_tokens=9, stop=["e t"])),
    "root": ("/", {**generate("abc", max_new_tokens=2), "stream": True}),
    "chat": ("/v1/chat/completions", chat("Aé🙂")),
    "chat_length": ("/v1/chat/completions", chat("abc", max_completion_tokens=2)),
    "chat_logprobs": ("/v1/chat/completions", chat("ab", logprobs=True)),
    "chat_stop": ("/v1/chat/completions", chat("one two", stop="e t")),
    "chat_tools": ("/v1/chat/completions", chat(TOOL_CALL, tools=[WEATHER])),
    "chat_tools_text": ("/v1/chat/completions", chat("text", tools=[WEATHER])),
    "chat_two": ("/v1/chat/completions", chat("ab", n=2)),
    "chat_usage": ("/v1/chat/completions", chat("ab", stream_options={"include_usage": True})),
    "chat_usage_continuous": ("/v1/chat/completions", chat("ab", n=2, stream_options=CONTINUOUS_USAGE)),
    "completions": ("/v1/completions", completion("abc")),
    "completions_prompts": ("/v1/completions", completion(["abc", "xyz"])),
    "completions_usage": ("/v1/completions", completion("abc", stream_options={"include_usage": True})),
    "completions_usage_continuous": (
        "/v1/completions",
        completion(["abc", "xy"], stream_options=CONTINUOUS_USAGE),
    ),
}
BREAKING: dict[str, tuple[str, dict[str, Any]]] = {
    "generate_stream_broken": ("/generate_stream", generate("abc", max_new_tokens=3)),
    "chat_broken": ("/v1/chat/completions", chat("abc")),
    "completions_broken": ("/v1/completions", completion("abc")),
}

# Tokens that wait for a busy machine share an event: steps leave it time, another attempt may find it idle.
STEP_S = 0.02
ATTEMPTS = 10
# Steps of half a second leave time to end the engine between the first token and the second.
BREAKING_STEP_S = 0.5
FIRST_TEXT = re.compile(rb'"(text|content)":"a"')
NAMED = (
    (re.compile(r'(?<="id":")(chatcmpl|cmpl|call)[-_][^"]+'), r"<\1 id>"),
    (re.compile(r'(?<="created":)\d+'), "<time>"),
    (re.compile(r'(?<="system_fingerprint":")[^"]+'), "<fingerprint>"),
)
VOLATILE_HEADERS = {"x-request-id": "<id>", "x-queue-time": "<ms>"}
UNTOLD_HEADERS = ("date", "server", "transfer-encoding")


@pytest.fixture(scope="module")
def slow_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    config = fake_model(tiny_model, step_s=STEP_S)
    with running_server(tmp_path_factory.mktemp("slow"), config) as server:
        yield server


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_as_recorded(slow_server: RunningServer, updates_transcripts: bool, name: str) -> None:
    path, body = STREAMS[name]
    with slow_server.client() as client:
        for _ in range(ATTEMPTS):
            response = client.post(path, json=body)
            found = transcript(path, body, response, response.content)
            if updates_transcripts or found == recorded(name):
                break
    check(name, found, updates_transcripts)


@pytest.mark.parametrize("name", BREAKING)
def test_a_stream_whose_engine_dies_is_as_recorded(
    tiny_model: Path, tmp_path: Path, updates_transcripts: bool, name: str
) -> None:
    path, body = BREAKING[name]
    with (
        running_server(tmp_path, fake_model(tiny_model, step_s=BREAKING_STEP_S)) as server,
        server.client() as client,
    ):
        with client.stream("POST", path, json=body) as response:
            chunks = response.iter_bytes()
            content = b""
            while not FIRST_TEXT.search(content):
                content += next(chunks)
            os.kill(server.engine_pid(), signal.SIGKILL)
            content += b"".join(chunks)
        check(name, transcript(path, body, response, content), updates_transcripts)


def test_every_recorded_transcript_belongs_to_a_test() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == {*STREAMS, *BREAKING}


def transcript(path: str, body: dict[str, Any], response: httpx.Response, content: bytes) -> str:
    assert response.status_code == 200, content
    request = f"POST {path}\n{json.dumps(body, ensure_ascii=False)}\n"
    headers = [
        f"{name}: {VOLATILE_HEADERS.get(name, value)}"
        for name, value in sorted(response.headers.items())
        if name not in UNTOLD_HEADERS
    ]
    events = content.decode()
    for pattern, name in NAMED:
        events = pattern.sub(name, events)
    return "\n".join([request, *headers, "", in_order(events)])


def in_order(events: str) -> str:
    """The events by choice: which of two choices comes first is not promised."""
    whole = re.findall(r".+?\n\n", events, re.DOTALL)
    assert "".join(whole) == events, "the last event is cut off"
    return "".join(sorted(whole, key=choice_index))


def choice_index(event: str) -> int:
    """What has no choice (the usage, the end) stays behind."""
    found = re.search(r'"choices":\[\{"index":(\d+)', event)
    return int(found[1]) if found else 99


def check(name: str, found: str, updates: bool) -> None:
    if updates:
        (FOLDER / f"{name}.txt").write_text(found, encoding="utf-8")
    assert found == recorded(name)


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")

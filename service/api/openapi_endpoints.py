"""What each endpoint gives, and which errors it can meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from service.api.openai.answers import ChatChunk, ChatCompletion, Completion, Model, ModelList
from service.api.operations import Info, Status
from service.api.wire import DetokenizedText, GeneratedText, SimpleToken, StreamEvent

# "either": as the operator decided.
Access = Literal["token", "anybody", "either"]

_ALWAYS = (401, 403, 429, 500)
_BODY = (400, *_ALWAYS, 404, 413)
_GENERATION = (*_BODY, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint's answers.

    `event` is the type of its streams' events; `answer` is None where it is no JSON; a tuple of types
    means any of them. `ends_with_done`: whether OpenAI's [DONE] is a stream's last event.
    """

    meaning: str
    answer: Any = None
    event: Any = None
    media_type: str = "text/plain"
    errors: tuple[int, ...] = ()
    other_answers: Mapping[int, Any] = field(default_factory=dict)
    ends_with_done: bool = False
    access: Access = "token"
    examples: Mapping[str, Any] = field(default_factory=dict)


_TEXT = {"inputs": "The capital of France is", "parameters": {"max_new_tokens": 8}}
_SAMPLED = {
    "inputs": "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "parameters": {"max_new_tokens": 16, "temperature": 0.7, "seed": 7, "stop": ["\n"], "details": True},
}
_STREAMED = {**_TEXT, "stream": True}
_JSON = {
    "inputs": "A city, as JSON: ",
    "parameters": {
        "max_new_tokens": 30,
        "grammar": {
            "type": "json",
            "value": {
                "type": "object",
                "properties": {"city": {"enum": ["Paris", "Rome"]}},
                "required": ["city"],
            },
        },
    },
}
_MESSAGES = [
    {"role": "system", "content": "You answer briefly."},
    {"role": "user", "content": "What is the capital of France?"},
]
_CHAT = {"model": "tgi", "messages": _MESSAGES, "max_completion_tokens": 16, "temperature": 0}
_STREAMED_CHAT = {**_CHAT, "stream": True, "stream_options": {"include_usage": True}}
_WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_TOOLS = {**_CHAT, "max_completion_tokens": 60, "tools": [_WEATHER], "tool_choice": "required"}
_PROMPT = {"model": "tgi", "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
_PROMPTS = {**_PROMPT, "prompt": ["One, two,", "Red, green,"]}

_GENERATE = {"text": _TEXT, "sampled": _SAMPLED, "streamed": _STREAMED, "json": _JSON}

ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("post", "/generate"): Endpoint(
        meaning="The generated text; with `stream` its tokens as server-sent events.",
        answer=GeneratedText,
        event=StreamEvent,
        errors=_GENERATION,
        examples=_GENERATE,
    ),
    ("post", "/generate_stream"): Endpoint(
        meaning="The text's tokens as server-sent events.",
        event=StreamEvent,
        errors=_GENERATION,
        examples={"text": _TEXT, "sampled": _SAMPLED},
    ),
    ("post", "/"): Endpoint(
        meaning="A list of one generated text; with `stream` its tokens as server-sent events.",
        answer=list[GeneratedText],
        event=StreamEvent,
        errors=_GENERATION,
        examples=_GENERATE,
    ),
    ("post", "/invocations"): Endpoint(
        meaning="What the endpoint that takes such a body answers.",
        answer=(list[GeneratedText], ChatCompletion, Completion),
        event=(StreamEvent, ChatChunk, Completion),
        ends_with_done=True,
        errors=_GENERATION,
        examples={"text": _TEXT, "chat": _CHAT, "prompt": _PROMPT},
    ),
    ("post", "/tokenize"): Endpoint(
        meaning="The text's tokens.",
        answer=list[SimpleToken],
        errors=_BODY,
        examples={"text": {"inputs": "The capital of France"}},
    ),
    ("post", "/detokenize"): Endpoint(
        meaning="The tokens' text.",
        answer=DetokenizedText,
        errors=_BODY,
        examples={
            "ids": {"tokens": [504, 3575]},
            "as tokenised": {"tokens": [{"id": 504, "text": "The", "start": 0, "stop": 3}]},
        },
    ),
    ("post", "/v1/chat/completions"): Endpoint(
        meaning="The model's message; with `stream` in pieces, as server-sent events.",
        answer=ChatCompletion,
        event=ChatChunk,
        ends_with_done=True,
        errors=_GENERATION,
        examples={"chat": _CHAT, "streamed": _STREAMED_CHAT, "tools": _TOOLS},
    ),
    ("post", "/v1/completions"): Endpoint(
        meaning="The generated texts; with `stream` in pieces, as server-sent events.",
        answer=Completion,
        event=Completion,
        ends_with_done=True,
        errors=_GENERATION,
        examples={"prompt": _PROMPT, "several": _PROMPTS},
    ),
    ("get", "/v1/models"): Endpoint(meaning="The served models.", answer=ModelList, errors=_ALWAYS),
    ("get", "/v1/models/{model}"): Endpoint(meaning="The model.", answer=Model, errors=(*_ALWAYS, 404)),
    ("get", "/info"): Endpoint(meaning="What is served.", answer=Info, errors=_ALWAYS),
    ("get", "/health"): Endpoint(
        meaning="Whether any model can answer.", answer=Status, other_answers={503: Status}, access="anybody"
    ),
    ("get", "/ping"): Endpoint(
        meaning="Whether any model can answer.", answer=Status, other_answers={503: Status}, access="anybody"
    ),
    ("get", "/ready"): Endpoint(
        meaning="Whether new work is welcome.", answer=Status, other_answers={503: Status}, access="anybody"
    ),
    ("get", "/metrics"): Endpoint(meaning="Prometheus' text.", errors=_ALWAYS, access="either"),
    ("get", "/openapi.json"): Endpoint(meaning="This document.", answer=dict[str, Any], errors=_ALWAYS),
    ("get", "/"): Endpoint(meaning="The playground.", media_type="text/html", access="anybody"),
    ("get", "/ui"): Endpoint(meaning="The playground.", media_type="text/html", access="anybody"),
}

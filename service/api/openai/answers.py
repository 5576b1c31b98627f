"""What OpenAI's endpoints give."""

from typing import Literal

import msgspec

UNSET = msgspec.UNSET
Unset = msgspec.UnsetType

ChatFinishReason = Literal["stop", "length", "tool_calls"]
CompletionFinishReason = Literal["stop", "length"]


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a whole answer; a prompt counts once, however many choices it got."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(msgspec.Struct, frozen=True):
    """One of the likeliest tokens in a place."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True):
    """A chosen token; `bytes` is empty until its character is whole."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    """The tokens of a content."""

    content: list[TokenLogprob]
    refusal: None = None


class FunctionCall(msgspec.Struct, frozen=True):
    """A call of a function; `arguments` is JSON as text."""

    name: str
    arguments: str


class ToolCallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call; `index` is there in streams."""

    index: int | Unset = UNSET
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The model's message."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[ToolCallAnswer] | Unset = UNSET


class ChatChoice(msgspec.Struct, frozen=True):
    """One of the answers."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /v1/chat/completions; `created` in seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(msgspec.Struct, frozen=True):
    """What a chunk adds to the model's message."""

    role: Literal["assistant"] | Unset = UNSET
    content: str | Unset = UNSET
    tool_calls: list[ToolCallAnswer] | Unset = UNSET


class ChunkChoice(msgspec.Struct, frozen=True):
    """What a chunk adds to one of the answers."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: ChatFinishReason | None = None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a chat's stream; the last one has the usage alone, if it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | Unset | None = UNSET


class CompletionLogprobs(msgspec.Struct, frozen=True):
    """The tokens of a text, and where each begins in it."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True):
    """One of the texts, or in a stream what is added to it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: CompletionFinishReason | None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /v1/completions, and each event of its stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | Unset | None = UNSET


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A served model: OpenAI's fields, then its task and its limits in tokens."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "tiber-serve"
    task: str
    max_input_tokens: int
    max_total_tokens: int


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /v1/models."""

    object: Literal["list"] = "list"
    data: list[Model]


def encode(content: object) -> bytes:
    """As JSON."""
    return _encoder.encode(content)


_encoder = msgspec.json.Encoder()

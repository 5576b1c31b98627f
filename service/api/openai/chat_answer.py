"""Puts the answers of /v1/chat/completions together, whole and as a stream."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from service.api.openai.answers import (
    UNSET,
    AnswerMessage,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatFinishReason,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    FunctionCall,
    ToolCallAnswer,
    Unset,
    Usage,
    encode,
)
from service.api.openai.choice_text import ChoiceText, Part
from service.api.openai.identity import Identity, new_call_id
from service.api.openai.logprobs import chat_logprobs, spoken_tokens
from service.api.openai.stream_usage import StreamUsage
from service.api.responses import DONE, frame
from service.domain import Answer, Finish, GenerationEvent
from service.text.tool_calls import ContentPiece, ToolCall

NewText = Callable[[], ChoiceText]
# The role and an empty content come first, as in OpenAI's streams.
_FIRST_DELTA = Delta(role="assistant", content="")


class ChatForm:
    """How the answers to one request look: its identity, its text parser, its logprobs."""

    def __init__(
        self, identity: Identity, new_text: NewText, *, has_logprobs: bool, has_top_logprobs: bool
    ) -> None:
        self.identity = asdict(identity)
        self.new_text = new_text
        self._has_logprobs = has_logprobs
        self._has_top_logprobs = has_top_logprobs

    def logprobs(self, events: Iterable[GenerationEvent]) -> ChatLogprobs | None:
        """The logprobs of the events' tokens, when they were asked for."""
        if not self._has_logprobs:
            return None
        return chat_logprobs(spoken_tokens(events), has_top=self._has_top_logprobs)


def whole_chat(answers: Sequence[Answer], usage: Usage, form: ChatForm) -> ChatCompletion:
    """The answer's object."""
    choices = [_choice(index, answer, form) for index, answer in enumerate(answers)]
    return ChatCompletion(**form.identity, choices=choices, usage=usage)


def _choice(index: int, answer: Answer, form: ChatForm) -> ChatChoice:
    text = form.new_text()
    parts = text.add([*answer.tokens, answer.finish])
    content = "".join(part.text for part in parts if isinstance(part, ContentPiece))
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    return ChatChoice(
        index=index,
        message=AnswerMessage(content=content if content or not calls else None, tool_calls=calls or UNSET),
        logprobs=form.logprobs(answer.tokens),
        finish_reason=_reason(answer.finish, text),
    )


class ChatStream:
    """Makes the frames of a stream; see `service.api.event_stream.Frames`."""

    def __init__(self, form: ChatForm, *, choices: int, usage: StreamUsage) -> None:
        self._form = form
        self._texts = [form.new_text() for _ in range(choices)]
        self._has_begun = [False] * choices
        self._usage = usage

    def add(self, index: int, events: Sequence[GenerationEvent]) -> bytes:
        """What the next events of one choice add."""
        self._usage.add(index, events)
        text = self._texts[index]
        deltas = [] if self._has_begun[index] else [_FIRST_DELTA]
        self._has_begun[index] = True
        parts = text.add(events)
        deltas += _deltas(parts, text.calls)
        logprobs = self._form.logprobs(events)
        if logprobs and logprobs.content:
            # They go with what was said; where it is still held back, alone.
            deltas = deltas or [Delta(content="")]
        chunks = [ChunkChoice(index=index, delta=delta) for delta in deltas]
        if logprobs and logprobs.content:
            chunks[-1] = ChunkChoice(index=index, delta=chunks[-1].delta, logprobs=logprobs)
        finish = events[-1]
        if isinstance(finish, Finish):
            chunks.append(ChunkChoice(index=index, delta=Delta(), finish_reason=_reason(finish, text)))
        return b"".join(self._frame([chunk], self._usage_beside(chunk)) for chunk in chunks)

    def end(self) -> bytes:
        """What comes after the last choice's end."""
        total = self._usage.at_end()
        return (self._frame([], total) if total else b"") + DONE

    def _usage_beside(self, chunk: ChunkChoice) -> Usage | Unset | None:
        return self._usage.so_far(chunk.index, has_text=chunk.delta is not _FIRST_DELTA)

    def _frame(self, choices: list[ChunkChoice], usage: Usage | Unset | None) -> bytes:
        return frame(encode(ChatChunk(**self._form.identity, choices=choices, usage=usage)))


def _deltas(parts: Iterable[Part], calls: int) -> list[Delta]:
    parts = list(parts)
    index = calls - sum(isinstance(part, ToolCall) for part in parts)
    deltas = []
    for part in parts:
        if isinstance(part, ToolCall):
            deltas.append(Delta(tool_calls=[_call(part, index)]))
            index += 1
        else:
            deltas.append(Delta(content=part.text))
    return deltas


def _call(call: ToolCall, index: int | None = None) -> ToolCallAnswer:
    return ToolCallAnswer(
        id=new_call_id(),
        function=FunctionCall(call.name, call.arguments_json),
        index=UNSET if index is None else index,
    )


def _reason(finish: Finish, text: ChoiceText) -> ChatFinishReason:
    if finish.reason == "length":
        return "length"
    return "tool_calls" if text.calls else "stop"

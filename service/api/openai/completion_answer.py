"""Puts the answers of /v1/completions together, whole and as a stream."""

from collections.abc import Sequence
from dataclasses import asdict

from service.api.openai.answers import (
    Completion,
    CompletionChoice,
    CompletionFinishReason,
    CompletionLogprobs,
    Unset,
    Usage,
    encode,
)
from service.api.openai.choice_text import ChoiceText
from service.api.openai.identity import Identity
from service.api.openai.logprobs import completion_logprobs, spoken_tokens
from service.api.openai.stream_usage import StreamUsage
from service.api.responses import DONE, frame
from service.domain import Answer, Finish, GenerationEvent, Token


class CompletionForm:
    """How the answers to one request look: its identity, its logprobs."""

    def __init__(self, identity: Identity, *, has_logprobs: bool, has_top_logprobs: bool) -> None:
        self.identity = asdict(identity)
        self._has_logprobs = has_logprobs
        self._has_top_logprobs = has_top_logprobs

    def logprobs(self, tokens: Sequence[Token], offset: int) -> CompletionLogprobs | None:
        """The logprobs of tokens that begin at the text's character `offset`, when they were asked for."""
        if not self._has_logprobs:
            return None
        return completion_logprobs(tokens, offset, has_top=self._has_top_logprobs)


def whole_completion(answers: Sequence[Answer], usage: Usage, form: CompletionForm) -> Completion:
    """The answer's object."""
    choices = [
        CompletionChoice(
            index=index,
            text=answer.finish.generated_text,
            logprobs=form.logprobs(spoken_tokens(answer.tokens), 0),
            finish_reason=_reason(answer.finish),
        )
        for index, answer in enumerate(answers)
    ]
    return Completion(**form.identity, choices=choices, usage=usage)


class CompletionStream:
    """Makes the frames of a stream; see `service.api.event_stream.Frames`."""

    def __init__(self, form: CompletionForm, *, choices: int, usage: StreamUsage) -> None:
        self._form = form
        self._texts = [ChoiceText() for _ in range(choices)]
        self._said_characters = [0] * choices
        self._usage = usage

    def add(self, index: int, events: Sequence[GenerationEvent]) -> bytes:
        """What the next events of one choice add."""
        self._usage.add(index, events)
        text = self._texts[index].content(events)
        reason = _reason(events[-1]) if isinstance(events[-1], Finish) else None
        tokens = spoken_tokens(events)
        logprobs = self._form.logprobs(tokens, self._said_characters[index])
        self._said_characters[index] += sum(len(token.piece) for token in tokens)
        if not text and not reason and not (logprobs and logprobs.tokens):
            return b""
        choice = CompletionChoice(index, text, logprobs, reason)
        return self._frame([choice], self._usage.so_far(index))

    def end(self) -> bytes:
        """What comes after the last choice's end."""
        total = self._usage.at_end()
        return (self._frame([], total) if total else b"") + DONE

    def _frame(self, choices: list[CompletionChoice], usage: Usage | Unset | None) -> bytes:
        return frame(encode(Completion(**self._form.identity, choices=choices, usage=usage)))


def _reason(finish: Finish) -> CompletionFinishReason:
    return "length" if finish.reason == "length" else "stop"

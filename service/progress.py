"""Follows one request: engine events in, generation events out."""

import time
from collections.abc import Sequence

from service.domain import (
    Finish,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    PromptToken,
    Start,
    Timings,
)
from service.engine.protocol import Done, EngineEvent, PromptScored, Started, TokenDelta
from service.text.answer import AnswerText
from service.text.tokenizer import ModelTokenizer


class Progress:
    """One request's way; `prompt_texts` are its prompt's tokens, needed where their logprobs are wanted."""

    def __init__(
        self,
        request: GenerationRequest,
        tokenizer: ModelTokenizer,
        *,
        accepted_s: float,
        prompt_texts: Sequence[str],
    ) -> None:
        self._request = request
        self._prompt_texts = prompt_texts
        self._answer: AnswerText = tokenizer.answer(
            request.prompt_ids, request.stop, keep_stop=request.keep_stop
        )
        self._prompt_logprobs: list[float] = []
        self._accepted_s = accepted_s
        self._started_s = accepted_s
        self._first_token_s: float | None = None
        self.has_finished = False

    def follow(self, batch: Sequence[EngineEvent]) -> list[GenerationEvent]:
        """Translate a batch; what the engine made past a stop string is dropped."""
        events: list[GenerationEvent] = []
        is_done = isinstance(batch[-1], Done)
        last_delta = _last_delta(batch) if is_done else None
        for event in batch:
            if isinstance(event, Started):
                self._started_s = event.at_s
            elif isinstance(event, PromptScored):
                self._prompt_logprobs = event.logprobs
            elif isinstance(event, TokenDelta):
                events += self._tokens(event, ends_answer=event is last_delta)
            elif isinstance(event, Done):
                events.append(self._finish(event.reason))
            if self._answer.hit_stop:
                events.append(self._finish("stop_sequence"))
            if self.has_finished:
                break
        return events

    def _tokens(self, delta: TokenDelta, *, ends_answer: bool) -> list[GenerationEvent]:
        events: list[GenerationEvent] = []
        if self._first_token_s is None:
            self._first_token_s = time.monotonic()
            events.append(self._start())
        last = len(delta.token_ids) - 1
        for index, token_id in enumerate(delta.token_ids):
            logprob = delta.logprobs[index] if delta.logprobs else None
            events.append(self._answer.add(token_id, logprob, is_last=ends_answer and index == last))
            if self._answer.hit_stop:
                break
        return events

    def _start(self) -> Start:
        return Start(
            prompt_tokens=self._request.prompt_tokens,
            seed=self._request.sampling.seed,
            queue_s=self._started_s - self._accepted_s,
            prefill=self._prefill() if self._request.sampling.prompt_logprobs else (),
        )

    def _prefill(self) -> tuple[PromptToken, ...]:
        ids = self._request.prompt_ids
        unscored = len(ids) - len(self._prompt_logprobs)
        logprobs: list[float | None] = [None] * unscored
        logprobs += self._prompt_logprobs
        return tuple(
            PromptToken(id=token_id, text=text, logprob=logprob)
            for token_id, text, logprob in zip(ids, self._prompt_texts, logprobs, strict=True)
        )

    def _finish(self, reason: FinishReason) -> Finish:
        self.has_finished = True
        now_s = time.monotonic()
        return Finish(
            reason=reason,
            generated_text=self._answer.finish(),
            prompt_tokens=self._request.prompt_tokens,
            generated_tokens=self._answer.token_count,
            seed=self._request.sampling.seed,
            timings=Timings(
                queue_s=self._started_s - self._accepted_s,
                inference_s=now_s - self._started_s,
                total_s=now_s - self._accepted_s,
                ttft_s=(self._first_token_s or now_s) - self._accepted_s,
            ),
        )


def _last_delta(batch: Sequence[EngineEvent]) -> TokenDelta | None:
    return next((event for event in reversed(batch) if isinstance(event, TokenDelta)), None)

"""The use case: validate, admit, run on the engine, turn into text, time it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from service.admission import Admission
from service.domain import (
    Answer,
    Finish,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    PromptToken,
    RawRequest,
    Start,
    Timings,
    Token,
    TokenLimits,
)
from service.engine.grammar import GrammarChecker
from service.engine.protocol import Done, Engine, EngineEvent, PromptScored, Started, TokenDelta
from service.errors import DeadlineError
from service.manifest import Manifest
from service.prompt.chat import ChatTemplate
from service.prompt.validation import check_ids, check_parameters, cut_to_characters, validate
from service.text.answer import AnswerText
from service.text.tokenizer import ModelTokenizer

GenerationEvents = AsyncGenerator[Sequence[GenerationEvent], None]


class TextModel:
    """One served model: everything a request of it passes through."""

    def __init__(
        self,
        *,
        name: str,
        device: str,
        engine_name: str,
        manifest: Manifest,
        tokenizer: ModelTokenizer,
        engine: Engine,
        admission: Admission,
        limits: TokenLimits,
        timeout_s: float,
        draw_seed: Callable[[], int],
        grammars: GrammarChecker,
        template: ChatTemplate | None,
    ) -> None:
        self.name = name
        self.device = device
        self.engine_name = engine_name
        self.manifest = manifest
        self.engine = engine
        self.admission = admission
        self.limits = limits
        self.timeout_s = timeout_s
        self.tokenizer = tokenizer
        self.template = template
        self._draw_seed = draw_seed
        self._grammars = grammars

    async def start(self) -> None:
        """Begin to load the model."""
        await self.engine.start()

    async def stop(self) -> None:
        """End the engine and every open request."""
        await self.engine.stop()
        await self._grammars.stop()

    async def stream(self, raw: RawRequest) -> GenerationEvents:
        """Generate; the first batch begins with Start and holds a token, the last one ends with Finish.

        Closing the generator cancels the request in the engine.

        Raises:
            ValidationError, OverloadedError, UnavailableError, DeadlineError, EngineError: each before the
            first batch where the cause is known by then, else in place of the next one.
        """
        accepted_s = time.monotonic()
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        check_parameters(raw, self.limits)
        async with aclosing(self._run(raw, accepted_s)) as batches:
            while True:
                try:
                    # Never around a yield: the task that reads on may be another one.
                    async with asyncio.timeout_at(deadline):
                        batch = await anext(batches, None)
                except TimeoutError as error:
                    raise DeadlineError(
                        f"no complete answer within {self.timeout_s:g} s, the limit of this service"
                    ) from error
                if batch is None:
                    return
                yield batch

    async def generate(self, raw: RawRequest) -> Answer:
        """Generate a whole answer; see `stream` for what it raises."""
        async with aclosing(self.stream(raw)) as batches:
            return fold([event async for batch in batches for event in batch])

    async def _run(self, raw: RawRequest, accepted_s: float) -> GenerationEvents:
        async with self.admission.slot():
            prompt_ids = await self._prompt_ids(raw)
            if raw.grammar is not None:
                await self._grammars.check(raw.grammar)
            request = validate(raw, prompt_ids, self.limits, self._draw_seed)
            progress = _Progress(request, self.tokenizer, accepted_s)
            async with aclosing(self.engine.stream(request)) as batches:
                async for batch in batches:
                    events = progress.follow(batch)
                    if events:
                        yield events
                    if progress.has_finished:
                        return

    async def _prompt_ids(self, raw: RawRequest) -> list[int]:
        if not isinstance(raw.prompt, str):
            check_ids(raw.prompt, self.tokenizer.ids, raw.names.prompt)
            return list(raw.prompt)
        text = cut_to_characters(raw, raw.prompt, self.limits, self.tokenizer.most_characters)
        return await self.tokenizer.encode(text, add_special_tokens=raw.add_special_tokens)


def fold(events: Sequence[GenerationEvent]) -> Answer:
    """The answer that all of a stream's events make."""
    start, *tokens, finish = events
    assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `stream` promises
    assert isinstance(finish, Finish)  # noqa: S101 - the same
    return Answer(
        tokens=[token for token in tokens if isinstance(token, Token)], finish=finish, prefill=start.prefill
    )


class _Progress:
    """Follows one request: engine events in, generation events out."""

    def __init__(self, request: GenerationRequest, tokenizer: ModelTokenizer, accepted_s: float) -> None:
        self._request = request
        self._tokenizer = tokenizer
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
        last_delta = next((event for event in reversed(batch) if isinstance(event, TokenDelta)), None)
        for event in batch:
            if isinstance(event, Started):
                self._started_s = event.at_s
            elif isinstance(event, PromptScored):
                self._prompt_logprobs = event.logprobs
            elif isinstance(event, TokenDelta):
                events += self._tokens(event, ends_answer=is_done and event is last_delta)
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
            prompt_tokens=len(self._request.prompt_ids),
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
            for token_id, text, logprob in zip(ids, self._tokenizer.texts(ids), logprobs, strict=True)
        )

    def _finish(self, reason: FinishReason) -> Finish:
        self.has_finished = True
        now_s = time.monotonic()
        return Finish(
            reason=reason,
            generated_text=self._answer.finish(),
            prompt_tokens=len(self._request.prompt_ids),
            generated_tokens=self._answer.token_count,
            seed=self._request.sampling.seed,
            timings=Timings(
                queue_s=self._started_s - self._accepted_s,
                inference_s=now_s - self._started_s,
                total_s=now_s - self._accepted_s,
                ttft_s=(self._first_token_s or now_s) - self._accepted_s,
            ),
        )

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
    RawRequest,
    Start,
    Timings,
    Token,
    TokenLimits,
)
from service.engine.grammar import GrammarChecker
from service.engine.protocol import Done, Engine, EngineEvent, Started, TokenDelta
from service.errors import DeadlineError
from service.manifest import Manifest
from service.prompt.validation import check_parameters, cut_to_characters, validate
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
    ) -> None:
        self.name = name
        self.device = device
        self.engine_name = engine_name
        self.manifest = manifest
        self.engine = engine
        self.admission = admission
        self.limits = limits
        self.timeout_s = timeout_s
        self._tokenizer = tokenizer
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
        tokens: list[Token] = []
        async with aclosing(self.stream(raw)) as batches:
            async for batch in batches:
                tokens += [event for event in batch if isinstance(event, Token)]
        # The last event of a stream that raised nothing is its Finish.
        finish = batch[-1]
        assert isinstance(finish, Finish)  # noqa: S101 - narrows the type of what `stream` promises
        return Answer(tokens=tokens, finish=finish)

    async def _run(self, raw: RawRequest, accepted_s: float) -> GenerationEvents:
        async with self.admission.slot():
            text = cut_to_characters(raw, self.limits, self._tokenizer.most_characters)
            prompt_ids = await self._tokenizer.encode(text)
            if raw.grammar is not None:
                await self._grammars.check(raw.grammar)
            request = validate(raw, prompt_ids, self.limits, self._draw_seed)
            answer = self._tokenizer.answer(request.prompt_ids, request.stop)
            progress = _Progress(request, answer, accepted_s)
            async with aclosing(self.engine.stream(request)) as batches:
                async for batch in batches:
                    events = progress.follow(batch)
                    if events:
                        yield events
                    if progress.has_finished:
                        return


class _Progress:
    """Follows one request: engine events in, generation events out."""

    def __init__(self, request: GenerationRequest, answer: AnswerText, accepted_s: float) -> None:
        self._request = request
        self._answer = answer
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
        )

    def _finish(self, reason: FinishReason) -> Finish:
        self.has_finished = True
        now_s = time.monotonic()
        return Finish(
            reason=reason,
            generated_text=self._answer.text(),
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

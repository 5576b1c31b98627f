"""The use case: validate, admit, run on the engine, turn into text, time it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from service.admission import Admission
from service.domain import (
    Answer,
    ChatPrompt,
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
from service.errors import DeadlineError, ValidationError
from service.manifest import Manifest, ToolFormat
from service.observer import ObserverFactory, RequestObserver
from service.prompt.chat import ChatTemplate
from service.prompt.validation import (
    check_characters,
    check_ids,
    check_parameters,
    cut_to_characters,
    validate,
)
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
        observe: ObserverFactory,
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
        self._observe = observe
        self._grammars = grammars

    @property
    def tool_format(self) -> ToolFormat:
        """How this model writes tool calls; without a template nobody shows it tools."""
        return self.template.tool_format if self.template else "hermes"

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
        observer = self._observe()
        outcome: Finish | Exception | None = None
        try:
            async with aclosing(self._until_deadline(raw, observer)) as batches:
                async for batch in batches:
                    observer.received(batch)
                    if isinstance(batch[-1], Finish):
                        outcome = batch[-1]
                    yield batch
        except Exception as error:
            outcome = error
            raise
        finally:
            observer.ended(outcome)

    async def _until_deadline(self, raw: RawRequest, observer: RequestObserver) -> GenerationEvents:
        accepted_s = time.monotonic()
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        check_parameters(raw, self.limits)
        async with aclosing(self._run(raw, observer, accepted_s)) as batches:
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

    async def _run(self, raw: RawRequest, observer: RequestObserver, accepted_s: float) -> GenerationEvents:
        async with self.admission.slot():
            admitted_s = time.monotonic()
            prompt_ids = await self._prompt_ids(raw)
            if raw.grammar is not None:
                await self._grammars.check(raw.grammar)
            request = validate(raw, prompt_ids, self.limits, self._draw_seed)
            observer.validated(request, took_s=time.monotonic() - admitted_s)
            progress = _Progress(request, self.tokenizer, accepted_s)
            async with aclosing(self.engine.stream(request)) as batches:
                async for batch in batches:
                    events = progress.follow(batch)
                    if events:
                        yield events
                    if progress.has_finished:
                        return

    async def _prompt_ids(self, raw: RawRequest) -> list[int]:
        if isinstance(raw.prompt, tuple):
            check_ids(raw.prompt, self.tokenizer.ids, raw.names.prompt)
            return list(raw.prompt)
        text, add_special_tokens = raw.prompt, raw.add_special_tokens
        if isinstance(text, ChatPrompt):
            check_characters(raw, text.characters(), self.limits, self.tokenizer.most_characters)
            # A template's time can grow with the square of a long conversation: off the event loop.
            text, add_special_tokens = await asyncio.to_thread(self._render, text), False
        text = cut_to_characters(raw, text, self.limits, self.tokenizer.most_characters)
        return await self.tokenizer.encode(text, add_special_tokens=add_special_tokens)

    def _render(self, prompt: ChatPrompt) -> str:
        if self.template is None:
            raise ValidationError(
                f"the model {self.name} has no chat template: send a prompt to /v1/completions",
                param="messages",
            )
        text = self.template.render(
            prompt.messages,
            tools=prompt.tools,
            continue_final_message=prompt.continue_final_message,
            add_generation_prompt=prompt.add_generation_prompt,
            template_arguments=prompt.template_arguments,
        )
        return text + prompt.opening


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

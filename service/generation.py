"""The use case: validate, admit, run on the engine, turn into text, time it."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

import structlog

from service.admission import Admission
from service.deadline import Deadline
from service.domain import Finish, GenerationEvent, GenerationRequest, RawRequest, TokenLimits
from service.engine.grammar import GrammarChecker
from service.engine.protocol import Engine
from service.errors import ValidationError
from service.manifest import Manifest, ToolFormat
from service.merging import merged
from service.observer import ObserverFactory, RequestObserver
from service.picture_encoder import Vision
from service.progress import Progress
from service.prompt.chat import ChatTemplate
from service.prompt.validation import check_parameters, validate
from service.prompt_encoder import EncodedPrompt, PromptEncoder
from service.text.tokenizer import ModelTokenizer

_log = structlog.get_logger("model")

# A batch of events, and the index of the request that it is of.
IndexedBatch = tuple[int, Sequence[GenerationEvent]]
IndexedEvents = AsyncGenerator[IndexedBatch, None]


class TextModel:
    """One served model: everything a request of it passes through."""

    def __init__(
        self,
        *,
        name: str,
        device: str,
        engine_name: str,
        engine_origin: str,
        is_reproducible: bool,
        manifest: Manifest,
        tokenizer: ModelTokenizer,
        engine: Engine,
        admission: Admission,
        limits: TokenLimits,
        timeout_s: float,
        draw_seed: Callable[[], int],
        grammars: GrammarChecker,
        template: ChatTemplate | None,
        vision: Vision | None,
        observe: ObserverFactory,
        prompt_lookup: int | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.engine_name = engine_name
        self.engine_origin = engine_origin
        self.is_reproducible = is_reproducible
        self.manifest = manifest
        self.engine = engine
        self.admission = admission
        self.limits = limits
        self.timeout_s = timeout_s
        self.prompt_lookup = prompt_lookup
        self.tokenizer = tokenizer
        self._template = template
        self.image_limits = vision.limits if vision else None
        self._prompts = PromptEncoder(
            model=name, tokenizer=tokenizer, template=template, limits=limits, vision=vision
        )
        self._draw_seed = draw_seed
        self._observe = observe
        self._grammars = grammars

    @property
    def tool_format(self) -> ToolFormat:
        """How this model writes tool calls; without a template nobody shows it tools."""
        return self._template.tool_format if self._template else "hermes"

    async def start(self) -> None:
        """Begin to load the model."""
        _log.info("engine_settings", model=self.name, origin=self.engine_origin)
        await self.engine.start()

    async def stop(self) -> None:
        """End the engine and every open request."""
        await self.engine.stop()
        await self._grammars.stop()

    async def stream(self, raws: Sequence[RawRequest]) -> IndexedEvents:
        """Generate for all of `raws` side by side, once all of them are found right.

        Each request's first batch begins with Start and holds a token; its last one ends with Finish.
        Closing the generator cancels them all in the engine, and so does the first error of one.

        Raises:
            ValidationError, OverloadedError, UnavailableError, DeadlineError, EngineError: each before the
            first batch where the cause is known by then, else in place of the next one.
        """
        observers = dict(enumerate(self._observe() for _ in raws))
        outcome: Exception | None = None
        try:
            async with aclosing(self._run(raws, observers)) as batches:
                async for index, batch in batches:
                    observers[index].received(batch)
                    if isinstance(batch[-1], Finish):
                        observers.pop(index).ended(batch[-1])
                    yield index, batch
        except Exception as error:
            outcome = error
            raise
        finally:
            for observer in observers.values():
                observer.ended(outcome)

    async def _run(
        self, raws: Sequence[RawRequest], observers: Mapping[int, RequestObserver]
    ) -> IndexedEvents:
        accepted_s = time.monotonic()
        deadline = Deadline.after(self.timeout_s)
        self._check(raws)
        with self.admission.places(len(raws)):
            async with AsyncExitStack() as held:
                admitted_s = time.monotonic()
                async with deadline.enforced():
                    requests = await self._validate(raws, held)
                for observer, request in zip(observers.values(), requests, strict=True):
                    observer.validated(request, took_s=time.monotonic() - admitted_s)
                answers = [
                    self._generate(index, request, accepted_s, deadline)
                    for index, request in enumerate(requests)
                ]
                async with aclosing(merged(answers)) as batches:
                    async for batch in batches:
                        yield batch

    def _check(self, raws: Sequence[RawRequest]) -> None:
        if len(raws) > self.admission.max_requests:
            raise ValidationError(
                f"this model gives at most {self.admission.max_requests} answers at once; "
                f"the request asks for {len(raws)}",
                param="n",
            )
        # The answers to one prompt differ in nothing but their seed.
        for raw in {id(raw.prompt): raw for raw in raws}.values():
            check_parameters(raw, self.limits)

    async def _validate(self, raws: Sequence[RawRequest], held: AsyncExitStack) -> list[GenerationRequest]:
        encoded: dict[int, EncodedPrompt] = {}
        requests: list[GenerationRequest] = []
        for raw in raws:
            # The answers to one prompt share it, so it is rendered and tokenised once.
            if id(raw.prompt) not in encoded:
                encoded[id(raw.prompt)] = await self._prompts.encode(raw, held)
            if raw.grammar is not None:
                await self._grammars.check(raw.grammar, name=raw.names.grammar)
            prompt = encoded[id(raw.prompt)]
            requests.append(validate(raw, prompt.ids, self.limits, self._draw_seed, prompt.pictures))
        return requests

    async def _generate(
        self, index: int, request: GenerationRequest, accepted_s: float, deadline: Deadline
    ) -> IndexedEvents:
        async with AsyncExitStack() as held:
            async with deadline.enforced():
                await held.enter_async_context(self.admission.turn())
                texts = await self._prompt_texts(request)
            progress = Progress(request, self.tokenizer, accepted_s=accepted_s, prompt_texts=texts)
            # The engine's stream keeps the deadline: a timer for each token would cost more than its text.
            async with aclosing(self.engine.stream(request, deadline)) as batches:
                async for batch in batches:
                    events = progress.follow(batch)
                    if events:
                        yield index, events
                    if progress.has_finished:
                        return

    async def _prompt_texts(self, request: GenerationRequest) -> Sequence[str]:
        return await self.tokenizer.texts(request.prompt_ids) if request.sampling.prompt_logprobs else ()

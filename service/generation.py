"""The use case: validate, admit, run on the engine, turn into text, time it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from service.admission import Admission
from service.deadline import Deadline
from service.domain import Finish, GenerationEvent, GenerationRequest, RawRequest, TokenLimits
from service.engine.grammar import GrammarChecker
from service.engine.protocol import Engine, EngineEvent
from service.errors import ValidationError
from service.manifest import Manifest, ToolFormat
from service.observer import ObserverFactory, RequestObserver
from service.picture_encoder import Vision
from service.progress import Progress
from service.prompt.chat import ChatTemplate
from service.prompt.validation import check_parameters, validate
from service.prompt_encoder import EncodedPrompt, PromptEncoder
from service.text.tokenizer import ModelTokenizer
from service.together import run_together

_log = structlog.get_logger("model")

# Is told of the next events of the request with this index, on the event loop; must not block.
Deliver = Callable[[int, Sequence[GenerationEvent]], None]
# Returns when the client has taken all that was delivered.
Sent = Callable[[], Awaitable[None]]


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

    async def generate(self, raws: Sequence[RawRequest], deliver: Deliver, sent: Sent | None = None) -> None:
        """Generate for all of `raws` side by side, once all of them are found right; return after the end.

        What is delivered first of a request begins with Start and holds a token; the last ends with Finish.
        `sent` is awaited then: until it returns the requests keep their places, and a drain waits for them.
        Cancelling this cancels them all in the engine, and so does the first error of one.

        Raises:
            ValidationError, OverloadedError: before anything is delivered.
            UnavailableError, DeadlineError, EngineError: at any time.
        """
        observers = dict(enumerate(self._observe() for _ in raws))
        outcome: Exception | None = None

        def tell(index: int, batch: Sequence[GenerationEvent]) -> None:
            observers[index].received(batch)
            if isinstance(batch[-1], Finish):
                observers.pop(index).ended(batch[-1])
            deliver(index, batch)

        try:
            await self._run(raws, observers, tell, sent)
        except Exception as error:
            outcome = error
            raise
        finally:
            for observer in observers.values():
                observer.ended(outcome)

    async def _run(
        self,
        raws: Sequence[RawRequest],
        observers: Mapping[int, RequestObserver],
        deliver: Deliver,
        sent: Sent | None,
    ) -> None:
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
                await run_together(
                    [
                        self._generate(request, accepted_s, deadline, partial(deliver, index))
                        for index, request in enumerate(requests)
                    ]
                )
                if sent is not None:
                    await sent()

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
        self,
        request: GenerationRequest,
        accepted_s: float,
        deadline: Deadline,
        deliver: Callable[[Sequence[GenerationEvent]], None],
    ) -> None:
        async with AsyncExitStack() as held:
            async with deadline.enforced():
                await held.enter_async_context(self.admission.turn())
                texts = await self._prompt_texts(request)
            progress = Progress(request, self.tokenizer, accepted_s=accepted_s, prompt_texts=texts)

            def follow(batch: Sequence[EngineEvent]) -> bool:
                events = progress.follow(batch)
                if events:
                    deliver(events)
                return not progress.has_finished

            # From here on the engine keeps the deadline.
            await self.engine.run(request, follow, deadline)

    async def _prompt_texts(self, request: GenerationRequest) -> Sequence[str]:
        return await self.tokenizer.texts(request.prompt_ids) if request.sampling.prompt_logprobs else ()

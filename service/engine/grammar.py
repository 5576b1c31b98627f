"""Checks a grammar in a process of its own, before the engine may see it."""

import asyncio
from collections import OrderedDict

from service.domain import GenerationRequest, Grammar, Sampling
from service.engine.protocol import Engine
from service.errors import EngineError, UnavailableError, ValidationError

_REMEMBERED = 256


class GrammarChecker:
    """Asks an engine that compiles grammars and does nothing else; it is started at the first check.

    One grammar at a time: when that engine dies or stalls, the grammar in it is to blame.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()
        self._is_started = False
        self._good: OrderedDict[Grammar, None] = OrderedDict()

    async def check(self, grammar: Grammar) -> None:
        """Return when the engine can compile the grammar.

        Raises:
            ValidationError: it can't, or not in the time allowed; the message has the compiler's reason.
        """
        async with self._one_at_a_time:
            if grammar not in self._good:
                await self._try(grammar)
            self._good[grammar] = None
            self._good.move_to_end(grammar)
            if len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)

    async def stop(self) -> None:
        """End the checking engine."""
        await self._engine.stop()

    async def _try(self, grammar: Grammar) -> None:
        if not self._is_started:
            self._is_started = True
            await self._engine.start()
        await self._engine.wait_ready()
        request = GenerationRequest(prompt_ids=[0], sampling=Sampling(max_new_tokens=1, grammar=grammar))
        try:
            async for _ in self._engine.stream(request):
                pass
        except EngineError as error:
            raise ValidationError(f"`grammar` can't be compiled: {error.message}", param="grammar") from error
        except UnavailableError as error:
            raise ValidationError("`grammar` takes too long to compile", param="grammar") from error

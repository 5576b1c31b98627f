"""Checks a grammar in a process of its own, before the engine may see it."""

import asyncio
import contextvars
from collections import OrderedDict

from service.domain import GenerationRequest, Grammar, Sampling
from service.engine.protocol import Engine
from service.errors import EngineError, UnavailableError, ValidationError

_REMEMBERED = 256
_RETRY_AFTER_S = 5.0


class _RefusalError(Exception):
    """A verdict: what is wrong with a grammar."""


class GrammarChecker:
    """Asks an engine that compiles grammars and does nothing else; it is started at the first check.

    One grammar at a time: when that engine dies or stalls, the grammar in it is to blame. Verdicts,
    good and bad, are remembered, so only a new grammar waits: `patience_s` seconds at most for those before
    it, and as long for the start of that engine.
    """

    def __init__(self, engine: Engine, *, patience_s: float = 20.0) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self._one_at_a_time = asyncio.Lock()
        self._is_started = False
        self._checks: OrderedDict[Grammar, asyncio.Task[None]] = OrderedDict()

    async def check(self, grammar: Grammar, *, name: str = "grammar") -> None:
        """Return when the engine can follow the grammar, which the client gave in the field `name`.

        Raises:
            ValidationError: it can't, or not with the time and memory allowed; the message has the reason.
            UnavailableError: the checker doesn't work, has too much to do, or the service is shutting down.
        """
        task = self._checks.get(grammar)
        if task is None:
            task = self._checks[grammar] = asyncio.create_task(
                self._check(grammar), context=contextvars.Context()
            )
        self._checks.move_to_end(grammar)
        self._forget_the_oldest()
        # A caller that leaves doesn't end the check: the next grammar would pay for this one's time.
        try:
            await asyncio.shield(task)
        except _RefusalError as refusal:
            raise ValidationError(f"`{name}` {refusal}", param=name) from refusal

    async def stop(self) -> None:
        """End the checking engine, and every check with it."""
        await self._engine.stop()
        for task in self._checks.values():
            task.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)

    def _forget_the_oldest(self) -> None:
        done = [grammar for grammar, task in self._checks.items() if task.done()]
        for grammar in done[: max(0, len(self._checks) - _REMEMBERED)]:
            # Looked at, so that a refusal nobody came back for is no unretrieved exception.
            self._checks.pop(grammar).exception()

    async def _check(self, grammar: Grammar) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._one_at_a_time.acquire()
            try:
                await self._try(grammar)
            finally:
                self._one_at_a_time.release()
        except (TimeoutError, UnavailableError) as error:
            # That says nothing of this grammar: it is no verdict to remember.
            self._checks.pop(grammar, None)
            raise UnavailableError("grammars can't be checked now", retry_after_s=_RETRY_AFTER_S) from error

    async def _try(self, grammar: Grammar) -> None:
        async with asyncio.timeout(self._patience_s):
            if not self._is_started:
                self._is_started = True
                await self._engine.start()
            await self._engine.wait_ready()
        # No deadline from here on: a check that is left alone goes on, and the next grammar would pay for it.
        # It ends when the engine's supervisor finds that the engine stalls.
        request = GenerationRequest(prompt_ids=[0], sampling=Sampling(max_new_tokens=1, grammar=grammar))
        try:
            await self._engine.run(request, lambda _events: True)
        except EngineError as error:
            raise _RefusalError(f"can't be used: {error.message}") from error
        except UnavailableError as error:
            if self._engine.status().state == "stopped":
                raise
            raise _RefusalError("takes too much time or memory to compile") from error

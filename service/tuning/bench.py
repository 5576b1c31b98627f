"""Measures candidates through real engine processes, without HTTP."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.domain import GenerationRequest, Sampling
from service.engine.config import EngineConfig
from service.engine.process import EngineProcess, SupervisorPolicy
from service.engine.protocol import EngineEvent, PromptScored, TokenDelta
from service.errors import ConfigError, EngineError, UnavailableError
from service.tuning.candidate import Candidate, Sample
from service.tuning.errors import CandidateError
from service.tuning.passages import prompts

# One that died is out: nobody waits for its next life.
_POLICY = SupervisorPolicy(backoff_first_s=3600.0, backoff_max_s=3600.0, stall_s=60.0, stop_s=3.0)
_LOAD_S = 300.0
_POLL_S = 0.02
_TOGETHER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round asks for, in tokens: one request alone, 64 together, a long prompt for its first one."""

    alone_new: int = 48
    together_new: int = 16
    prompt: int = 16
    long_prompt: int = 256

    def scaled(self, factor: float) -> "Round":
        """So many times as much work, within what still means something."""
        return replace(
            self,
            alone_new=_within(16, self.alone_new * factor, 96),
            together_new=_within(8, self.together_new * factor, 48),
        )


class EngineBench:
    """A Laboratory; `config` says all that candidates don't.

    `passages` are token ids. Prompts are never the same twice in the prefix cache: it is off.
    """

    def __init__(self, config: EngineConfig, passages: Sequence[list[int]], *, most_at_once: int) -> None:
        self._config = replace(config, prefix_caching=False)
        self._passages = list(passages)
        self._round = Round()
        self._last_round_s = 0.0
        self.most_at_once = most_at_once

    async def open(self, candidate: Candidate) -> "EngineTrial":
        """Start an engine process; see Laboratory."""
        config = replace(
            self._config,
            properties=dict(candidate.properties),
            max_batched_tokens=candidate.max_batched_tokens,
            max_running=candidate.max_running,
        )
        engine = EngineProcess(config, policy=_POLICY)
        trial = EngineTrial(engine, self)
        try:
            await engine.start()
            await _until_ready(engine)
            await trial.warm_up()
        except BaseException:
            await engine.stop()
            raise
        return trial

    def fit_rounds(self, round_s: float) -> None:
        """See Laboratory."""
        if self._last_round_s > 0:
            self._round = self._round.scaled(round_s / self._last_round_s)

    def note(self, round_s: float) -> None:
        """Remember how long a round took."""
        self._last_round_s = round_s

    @property
    def round(self) -> Round:
        """What a round asks for now."""
        return self._round

    @property
    def passages(self) -> list[list[int]]:
        """What candidates are scored on."""
        return self._passages


class EngineTrial:
    """A Trial in an engine process."""

    def __init__(self, engine: EngineProcess, bench: EngineBench) -> None:
        self._engine = engine
        self._bench = bench

    async def warm_up(self) -> None:
        """Have the engine compile what it compiles on first use."""
        wanted = self._bench.round
        await self._together(replace(wanted, together_new=2))
        await self._alone(replace(wanted, alone_new=2))
        await self._first_token(wanted)

    async def measure(self) -> Sample:
        """One round; see Trial."""
        wanted, began_s = self._bench.round, time.monotonic()
        sample = Sample(
            alone_per_s=await self._alone(wanted),
            together_per_s=await self._together(wanted),
            ttft_s=await self._first_token(wanted),
        )
        self._bench.note(time.monotonic() - began_s)
        return sample

    async def logprobs(self) -> list[float]:
        """Score the passages, each from its second token on; see Trial."""
        sampling = Sampling(max_new_tokens=1, ignore_eos=True, prompt_logprobs=True)
        scored: list[float] = []
        for ids in self._bench.passages:
            scored += await self._score(ids, sampling)
        return scored

    async def close(self) -> None:
        """End the process."""
        await self._engine.stop()

    async def _alone(self, wanted: Round) -> float:
        (ids,) = prompts(self._bench.passages, count=1, tokens=wanted.prompt)
        return await self._tokens_per_s([ids], wanted.alone_new)

    async def _together(self, wanted: Round) -> float:
        cut = prompts(self._bench.passages, count=_TOGETHER, tokens=wanted.prompt)
        return await self._tokens_per_s(cut, wanted.together_new)

    async def _first_token(self, wanted: Round) -> float:
        (ids,) = prompts(self._bench.passages, count=1, tokens=wanted.long_prompt)
        return 1 / await self._tokens_per_s([ids], 1)

    async def _tokens_per_s(self, cut: list[list[int]], new_tokens: int) -> float:
        sampling = Sampling(max_new_tokens=new_tokens, ignore_eos=True)
        began_s = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._generate(ids, sampling)) for ids in cut]
        except ExceptionGroup as errors:
            # The others were ended; what ended the first is what to tell.
            raise errors.exceptions[0] from errors
        return sum(task.result() for task in tasks) / (time.monotonic() - began_s)

    async def _generate(self, ids: list[int], sampling: Sampling) -> int:
        events = await self._events(ids, sampling)
        return sum(len(event.token_ids) for event in events if isinstance(event, TokenDelta))

    async def _score(self, ids: list[int], sampling: Sampling) -> list[float]:
        events = await self._events(ids, sampling)
        return next((event.logprobs for event in events if isinstance(event, PromptScored)), [])

    async def _events(self, ids: list[int], sampling: Sampling) -> list[EngineEvent]:
        events: list[EngineEvent] = []

        def keep(batch: Sequence[EngineEvent]) -> bool:
            events.extend(batch)
            return True

        try:
            await self._engine.run(GenerationRequest(prompt_ids=ids, sampling=sampling), keep)
        except (EngineError, UnavailableError) as error:
            raise CandidateError(_short(self._engine.status().last_error or error.message)) from error
        return events


async def _until_ready(engine: EngineProcess) -> None:
    """Wait for the model.

    Raises:
        CandidateError: the engine died, or loads for too long.
    """
    ready = asyncio.create_task(engine.wait_ready())
    try:
        async with asyncio.timeout(_LOAD_S):
            while not ready.done():
                if engine.status().restarts:
                    raise CandidateError(_short(engine.status().last_error or "the engine died"))
                await asyncio.wait([ready], timeout=_POLL_S)
        ready.result()
    except ConfigError as error:
        raise CandidateError(_short(error.message)) from error
    except TimeoutError as error:
        raise CandidateError(f"not loaded within {_LOAD_S:g} s") from error
    finally:
        ready.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConfigError):
            await ready


def _short(reason: str) -> str:
    """The last line of the runtime's message: those before it are places in its source."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _within(least: int, wanted: float, most: int) -> int:
    return max(least, min(most, round(wanted)))

"""The two borders of the engine: Engine (async, for the service) and Backend (sync, in the child)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import msgspec

from service.deadline import Deadline
from service.domain import GenerationRequest

EngineState = Literal["starting", "ready", "restarting", "stopped"]


class Started(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The engine took the request into a step, at this time of the system's monotonic clock (seconds).

    Of several for one request the last one counts.
    """

    request_id: int
    at_s: float


class TokenDelta(msgspec.Struct, frozen=True, array_like=True, tag="t", gc=False):
    """Tokens one step gave one request; `logprobs` has their length, or is None when not asked for."""

    request_id: int
    token_ids: list[int]
    logprobs: list[float] | None = None


class PromptScored(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """Log-probabilities of the prompt's last tokens; those before them were not computed again."""

    request_id: int
    logprobs: list[float]


class Done(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """The request ended well; nothing more comes for it."""

    request_id: int
    reason: Literal["length", "eos_token"]


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The request ended badly, alone; `retryable` when the cause passes, as a full KV cache does."""

    request_id: int
    message: str
    retryable: bool


EngineEvent = Started | PromptScored | TokenDelta | Done | Failed

# Is told what a step brought a request, on the event loop; says whether the request is to go on.
Deliver = Callable[[Sequence[EngineEvent]], bool]


class Backend(Protocol):
    """A model runtime inside the engine process; never called from two threads.

    Every added request ends in exactly one Done or Failed, unless it is cancelled; Done comes in the same
    step as the last token. What a step brings one request stands together. PromptScored, where asked for,
    comes in the same step as the first token, before it. A request that is added has started, unless the
    backend lets it wait: then Started comes from `step`, before its first token. An exception from `step`
    means that the backend can't be used any more.
    """

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Take up a request. Raises: any exception refuses this request alone."""

    def cancel(self, request_id: int) -> None:
        """Forget a request within one step; unknown ids are ignored."""

    def step(self) -> list[EngineEvent]:
        """Advance every request by at most one step (blocking) and return what came of it."""

    def running(self) -> int:
        """How many requests are unfinished: while it is above zero `step` must be called."""

    def close(self) -> None:
        """Free the model."""


@runtime_checkable
class HasCache(Protocol):
    """A backend that knows how full its KV cache is."""

    def cache_ratio(self) -> float:
        """The part of the KV cache that unfinished requests hold after the last step, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """A snapshot: `open_requests` counts ours, `running` and `cache_ratio` are what the engine last reported.

    `cache_ratio` is the part of the KV cache in use, from 0 to 1; None when the engine doesn't say.
    """

    state: EngineState
    open_requests: int
    running: int
    cache_ratio: float | None
    restarts: int
    pid: int | None
    last_error: str | None


class Engine(Protocol):
    """One model replica, seen from the service's event loop."""

    async def start(self) -> None:
        """Begin loading; returns at once."""

    async def wait_ready(self) -> None:
        """Return once the model can answer.

        Raises:
            ConfigError: it never will, with these settings on this machine.
        """

    async def run(
        self, request: GenerationRequest, deliver: Deliver, deadline: Deadline | None = None
    ) -> None:
        """Generate; return after the last event. Cancelling it cancels the request.

        `deliver` is called for each step, within the reading of the engine's message: it must not block.

        Raises:
            DeadlineError: `deadline` passed before the end.
            UnavailableError: the engine can't answer now, or died meanwhile.
            EngineError: the engine refused or failed on this request.
            Exception: what `deliver` raised.
        """

    def status(self) -> EngineStatus:
        """How the engine is."""

    async def stop(self) -> None:
        """End the process and every open request; returns when it is gone."""

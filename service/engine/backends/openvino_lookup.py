"""OpenVINO GenAI with prompt lookup, which it can't do safely by itself.

Two faults of openvino-genai 2026.4.1 with prompt lookup are kept away. When its KV cache runs full, it takes
back a request's blocks but not its guesses: then a step raises, and that engine is lost for all. So a
request waits here until the cache can hold it to its last token. And its prefix cache keeps blocks under the
name of guesses that were wrong: a later prompt that holds such a guess gets another text's KV cache.
"""

from typing import Protocol

from service.domain import GenerationRequest, Sampling
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.backends.probe import no_room, step_until, whole_cache
from service.engine.backends.room import Room, RoomQueue
from service.engine.config import EngineConfig
from service.engine.protocol import Backend, EngineEvent, Failed, HasCache
from service.errors import ConfigError

# Tokens of a block of the KV cache: 32 on CPUs, where the engine was tried; 16 on GPUs.
_BLOCK_TOKENS = {"CPU": 32}
_LEAST_BLOCK_TOKENS = 16
# Beside so many others guesses cost more than they bring (docs/prompt-lookup.md). The
# engine then takes no less than one.
_MOST_GUESSING = 4
_PROBE_ID = 0
_PROBE = GenerationRequest(prompt_ids=[0], sampling=Sampling(max_new_tokens=2, ignore_eos=True))
# Far more than two tokens take.
_PROBE_STEPS = 100
_SETTING = "`prompt_lookup`"


class Measurable(Backend, HasCache, Protocol):
    """A backend whose KV cache can be measured."""


class OpenVINOLookupBackend:
    """A Backend that guesses tokens; see Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        if config.prefix_caching or config.prompt_lookup is None:
            raise ConfigError("this backend is for prompt lookup without prefix caching")
        self._inner = OpenVINOBackend(config)
        self._guesses = config.prompt_lookup
        room = Room(
            blocks=count_blocks(self._inner, config.cache_gib),
            block_tokens=_BLOCK_TOKENS.get(config.device, _LEAST_BLOCK_TOKENS),
        )
        # Even alone a request that fills the cache would end the engine.
        self._queue = RoomQueue(room, self._begin, tokens=self._tokens, takes_oversized=False)

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Hand the request to the engine, or let it wait in line for room."""
        self._queue.add(request_id, request)

    def cancel(self, request_id: int) -> None:
        """Cancel; what it held is free after the next step."""
        self._queue.cancel(request_id)
        self._inner.cancel(request_id)

    def step(self) -> list[EngineEvent]:
        """Let in whom the cache can hold; run one batch."""
        events = self._queue.let_in()
        if self._inner.running():
            events += self._inner.step()
        self._queue.settle(events)
        return events

    def running(self) -> int:
        """Count unfinished requests, those that wait here included."""
        return self._inner.running() + len(self._queue)

    def cache_ratio(self) -> float:
        """As the engine tells it, promises not included."""
        return self._inner.cache_ratio()

    def close(self) -> None:
        """Drop the pipeline."""
        self._queue.clear()
        self._inner.close()

    def _begin(self, request_id: int, request: GenerationRequest) -> None:
        self._inner.guesses = self._guesses if self._inner.running() < _MOST_GUESSING else 1
        self._inner.add(request_id, request)

    def _tokens(self, request: GenerationRequest) -> int:
        """The most that it can hold at once, guesses included."""
        return request.prompt_tokens + request.sampling.max_new_tokens + self._guesses + 1


def count_blocks(inner: Measurable, cache_gib: int) -> int:
    """Run a request of one block, and see which part of the cache it takes.

    Raises:
        ConfigError: the cache has no room for it.
        EngineError: the engine does not let it be told.
    """
    inner.add(_PROBE_ID, _PROBE)
    ratios: list[float] = []

    def step() -> None:
        if any(isinstance(event, Failed) for event in inner.step()):
            raise no_room(cache_gib, _LEAST_BLOCK_TOKENS)
        ratios.append(inner.cache_ratio())

    step_until(lambda: not inner.running(), step, most=_PROBE_STEPS, setting=_SETTING)
    return whole_cache(1, max(ratios, default=0.0), setting=_SETTING)

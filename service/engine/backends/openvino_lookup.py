"""OpenVINO GenAI with prompt lookup, which it can't do safely by itself.

Two faults of openvino-genai 2026.4.1 with prompt lookup are kept away. When its KV cache runs full, it takes
back a request's blocks but not its guesses: then a step raises, and that engine is lost for all. So a
request waits here until the cache can hold it to its last token. And its prefix cache keeps blocks under the
name of guesses that were wrong: a later prompt that holds such a guess gets another text's KV cache.
"""

import sys
from collections import deque

from service.domain import GenerationRequest, Sampling
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.backends.reservation import Reservations
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed
from service.errors import ConfigError

# Tokens of a block of the KV cache: 32 on CPUs, where the engine was tried; 16 on GPUs.
_BLOCK_TOKENS = {"CPU": 32}
_LEAST_BLOCK_TOKENS = 16
# Beside so many others guesses cost more than they bring (docs/prompt-lookup.md). The
# engine then takes no less than one.
_MOST_GUESSING = 4
_PROBE_ID = 0
_PROBE = GenerationRequest(prompt_ids=[0], sampling=Sampling(max_new_tokens=2, ignore_eos=True))


class OpenVINOLookupBackend:
    """A Backend that guesses tokens; see Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        if config.prefix_caching or config.prompt_lookup is None:
            raise ConfigError("this backend is for prompt lookup without prefix caching")
        self._inner = OpenVINOBackend(config)
        self._guesses = config.prompt_lookup
        self._room = Reservations(
            blocks=_count_blocks(self._inner),
            block_tokens=_BLOCK_TOKENS.get(config.device, _LEAST_BLOCK_TOKENS),
        )
        self._waiting: deque[tuple[int, GenerationRequest]] = deque()
        # Their blocks are freed in the next step.
        self._cancelled: list[int] = []
        self._failed: list[EngineEvent] = []

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Put the request into a queue of our own: the first ones go on in the next step."""
        if self._room.can_ever_hold(self._tokens(request)):
            self._waiting.append((request_id, request))
        else:
            self._failed.append(Failed(request_id, "the KV cache has no room for this request", False))

    def cancel(self, request_id: int) -> None:
        """Cancel; what it held is free after the next step."""
        self._waiting = deque(one for one in self._waiting if one[0] != request_id)
        self._failed = [event for event in self._failed if event.request_id != request_id]
        self._inner.cancel(request_id)
        self._cancelled.append(request_id)

    def step(self) -> list[EngineEvent]:
        """Let in whom the cache can hold; run one batch."""
        events, self._failed = self._failed, []
        events += self._admit()
        if self._inner.running():
            events += self._inner.step()
        for event in events:
            if isinstance(event, Done | Failed):
                self._room.release(event.request_id)
        for request_id in self._cancelled:
            self._room.release(request_id)
        self._cancelled.clear()
        return events

    def running(self) -> int:
        """Count unfinished requests, those that wait here included."""
        return self._inner.running() + len(self._waiting) + len(self._failed)

    def cache_ratio(self) -> float:
        """As the engine tells it, promises not included."""
        return self._inner.cache_ratio()

    def close(self) -> None:
        """Drop the pipeline."""
        self._waiting.clear()
        self._inner.close()

    def _admit(self) -> list[EngineEvent]:
        """Strictly in order: a large request is not overtaken for ever."""
        refused: list[EngineEvent] = []
        while self._waiting:
            request_id, request = self._waiting[0]
            if not self._room.reserve(request_id, self._tokens(request)):
                break
            self._waiting.popleft()
            self._inner.guesses = self._guesses if self._inner.running() < _MOST_GUESSING else 1
            try:
                self._inner.add(request_id, request)
            except Exception as error:  # noqa: BLE001 - as in the worker: it costs only this request
                print(f"engine refused a request: {error}", file=sys.stderr)  # noqa: T201 - the child's log
                refused.append(Failed(request_id, "the engine refused this request", False))
        return refused

    def _tokens(self, request: GenerationRequest) -> int:
        """The most that it can hold at once, guesses included."""
        return request.prompt_tokens + request.sampling.max_new_tokens + self._guesses + 1


def _count_blocks(inner: OpenVINOBackend) -> int:
    """Run a request of one block, and see which part of the cache it takes: the engine tells nothing else."""
    inner.add(_PROBE_ID, _PROBE)
    ratio = 0.0
    while inner.running():
        inner.step()
        ratio = max(ratio, inner.cache_ratio())
    return int(1 / ratio)

"""The OpenVINO backend of reproducible mode: nothing that a request gets depends on the others.

The properties of the model's settings do most of it. Here is what no property does: no step has a single row
(see Companions), and no request is thrown out of a full KV cache. The engine would compute it anew later, and
its sampled tokens from there on are others; so a request waits until it has room to its end.
"""

import os
from dataclasses import replace
from pathlib import Path

from service.domain import GenerationRequest
from service.engine.backends.companions import Companions, most_companions, tokens_beside
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.backends.room import Room, RoomQueue
from service.engine.config import EngineConfig
from service.engine.protocol import EngineEvent

_THREADS = "INFERENCE_NUM_THREADS"
# A sequence's last block is partly empty, and no device has longer ones.
_BLOCK_TOKENS = 64


class ReproducibleBackend:
    """See Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        threads = int(config.properties.get(_THREADS, "0")) or len(os.sched_getaffinity(0))
        # Companions have a token each in every step: what was asked for is for the real requests.
        most = most_companions(threads)
        self._engine = OpenVINOBackend(
            replace(
                config,
                max_running=config.max_running + most,
                max_batched_tokens=config.max_batched_tokens + most,
            )
        )
        self._companions = Companions(self._engine.pipeline, Path(config.model_path), threads)
        cache_tokens = self._companions.measure_cache(config.cache_gib)
        room = Room(blocks=tokens_beside(cache_tokens, threads, cache_gib=config.cache_gib))
        self._queue = RoomQueue(room, self._begin, tokens=_tokens, takes_oversized=True)

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Hand the request to the engine, or let it wait in line for room."""
        self._queue.add(request_id, request)

    def cancel(self, request_id: int) -> None:
        """Forget the request, wherever it is; what it held is free after the next step."""
        self._queue.cancel(request_id)
        self._engine.cancel(request_id)

    def step(self) -> list[EngineEvent]:
        """Let those in that have room now; run one batch, never of a single row."""
        events = self._queue.let_in()
        if self._queue.begun:
            self._companions.join(self._queue.begun)
        else:
            self._companions.leave()
        events += self._engine.step()
        self._companions.read()
        self._queue.settle(events)
        return events

    def running(self) -> int:
        """Count unfinished requests, the waiting ones included."""
        return self._engine.running() + len(self._queue)

    def cache_ratio(self) -> float:
        """Ask the engine."""
        return self._engine.cache_ratio()

    def close(self) -> None:
        """Drop the pipeline."""
        del self._companions
        self._queue.clear()
        self._engine.close()

    def _begin(self, request_id: int, request: GenerationRequest) -> None:
        # First, so that its own prompt is never behind this one's.
        self._companions.join(self._queue.begun)
        self._engine.add(request_id, request)


def _tokens(request: GenerationRequest) -> int:
    return request.prompt_tokens + request.sampling.max_new_tokens + _BLOCK_TOKENS

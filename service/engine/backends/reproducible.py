"""The OpenVINO backend of reproducible mode: nothing that a request gets depends on the others.

The properties of the model's settings do most of it. Here is what no property does: no step has a single row
(see Companions), and no request is thrown out of a full KV cache. The engine would compute it anew later, and
its sampled tokens from there on are others; so a request waits until it has room to its end.
"""

import os
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

from service.domain import GenerationRequest
from service.engine.backends.companions import Companions, companion_tokens, most_companions
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.backends.room import Room
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed

_THREADS = "INFERENCE_NUM_THREADS"


class ReproducibleBackend:
    """See Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        threads = int(config.properties.get(_THREADS, "0")) or len(os.sched_getaffinity(0))
        most_running = config.max_running + most_companions(threads)
        self._engine = OpenVINOBackend(replace(config, max_running=most_running))
        self._companions = Companions(self._engine.pipeline, Path(config.model_path), threads)
        self._room = Room(self._companions.measure_cache() - companion_tokens(threads))
        self._waiting: deque[tuple[int, GenerationRequest]] = deque()

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Hand the request to the engine, or let it wait in line for room."""
        if self._waiting or not self._has_room(request_id, request):
            self._waiting.append((request_id, request))
        else:
            self._begin(request_id, request)

    def cancel(self, request_id: int) -> None:
        """Forget the request, wherever it is."""
        self._waiting = deque(one for one in self._waiting if one[0] != request_id)
        self._engine.cancel(request_id)
        self._room.give_back(request_id)

    def step(self) -> list[EngineEvent]:
        """Let those in that have room now; run one batch, never of a single row."""
        events = self._let_in()
        if not self._room:
            self._companions.leave()
        else:
            self._companions.join(len(self._room))
        events += self._engine.step()
        self._companions.read()
        for event in events:
            if isinstance(event, Done | Failed):
                self._room.give_back(event.request_id)
        return events

    def running(self) -> int:
        """Count unfinished requests, the waiting ones included."""
        return self._engine.running() + len(self._waiting)

    def cache_ratio(self) -> float:
        """Ask the engine."""
        return self._engine.cache_ratio()

    def close(self) -> None:
        """Drop the pipeline."""
        del self._companions
        self._engine.close()

    def _has_room(self, request_id: int, request: GenerationRequest) -> bool:
        return self._room.take(request_id, request.prompt_tokens + request.sampling.max_new_tokens)

    def _begin(self, request_id: int, request: GenerationRequest) -> None:
        # First, so that its own prompt is never behind this one's.
        self._companions.join(len(self._room))
        try:
            self._engine.add(request_id, request)
        except Exception:
            self._room.give_back(request_id)
            raise

    def _let_in(self) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        while self._waiting and self._has_room(*self._waiting[0]):
            request_id, request = self._waiting.popleft()
            try:
                self._begin(request_id, request)
            except Exception as error:  # noqa: BLE001 - a request's border: what add refuses costs only it
                print(f"engine refused a request: {error}", file=sys.stderr)  # noqa: T201 - the child's log
                events.append(Failed(request_id, "the engine refused this request", False))
        return events

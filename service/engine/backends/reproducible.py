"""The OpenVINO backend of reproducible mode: nothing that a request gets depends on the others.

The properties of the model's settings do most of it. Here is what no property does. A step has no more rows
than this CPU computes alike (see rows), and no fewer (see Companions). No token of a prompt is computed alone
(see PrefillPlan). No request is thrown out of a full KV cache: the engine would compute it anew later, and
its sampled tokens from there on are others; so a request waits until it has room to its end. And there is no
prefix cache: what it keeps of an earlier answer has other last bits than a prompt's, and it leaves a single
token to compute of some prompts.
"""

import os
from dataclasses import replace
from pathlib import Path

from service.domain import GenerationRequest
from service.engine.backends.companions import (
    OVERLAP_TOKENS,
    Companions,
    graph_of,
    most_companions,
    sees_pictures,
    tokens_beside,
)
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.backends.prefill import PrefillPlan
from service.engine.backends.room import Room, RoomQueue
from service.engine.backends.rows import alike_rows
from service.engine.backends.step_size import MOST_LEAST_ROWS, StepSize, fit, fit_uncut, most_tokens
from service.engine.config import EngineConfig
from service.engine.protocol import EngineEvent

_THREADS = "INFERENCE_NUM_THREADS"
# A sequence's last block is partly empty, and no device has longer ones.
_BLOCK_TOKENS = 64
# More than any prompt has. How many tokens a picture takes is known to the engine alone.
_UNCUT_TOKENS = 1 << 20
# Up to so many rows is tried whether they are computed alike; the largest matrix gives gigabytes for more.
_TRIED_ROWS = 512


class ReproducibleBackend:
    """See Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        threads = int(config.properties.get(_THREADS, "0")) or len(os.sched_getaffinity(0))
        model = Path(config.model_path)
        self._cuts = not sees_pictures(model)
        size = _step_size(config, model, threads, cuts=self._cuts)
        # Companions have a token each in every step.
        running = size.max_running + most_companions(size.beside)
        self._beside = size.beside
        self._max_running = size.max_running
        self._least_prompt_tokens = size.tokens - running
        self._engine = OpenVINOBackend(
            replace(
                config,
                max_running=running,
                max_batched_tokens=size.tokens if self._cuts else _UNCUT_TOKENS,
                prefix_caching=False,
            )
        )
        self._companions = Companions(self._engine.pipeline, model, threads, least_rows=size.least_rows)
        self._prefill = PrefillPlan(size.tokens)
        cache_tokens = self._companions.measure_cache(config.cache_gib)
        self._queue = RoomQueue(
            Room(blocks=tokens_beside(cache_tokens, size.beside, cache_gib=config.cache_gib)),
            self._begin,
            tokens=self._tokens,
            takes_oversized=True,
            may_begin=self._may_begin,
        )

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Hand the request to the engine, or let it wait in line."""
        self._join(self._queue.begun + 1)
        self._queue.add(request_id, request)

    def cancel(self, request_id: int) -> None:
        """Forget the request, wherever it is; what it held is free after the next step."""
        self._queue.cancel(request_id)
        self._prefill.forget(request_id)
        self._engine.cancel(request_id)

    def step(self) -> list[EngineEvent]:
        """Let those in that may begin now; run one batch, never of a single row."""
        if self._prefill.is_idle:
            self._companions.dismiss_long()
        self._join(self._queue.begun)
        events = self._queue.let_in()
        if not self._queue.begun:
            self._companions.leave()
        elif self._cuts and self._prefill.leaves_one(self._companions.tokens):
            self._companions.leave_one()
        beside = self._companions.tokens
        made = self._engine.step()
        self._companions.read()
        self._prefill.settle(made, beside)
        events += made
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

    def _may_begin(self, request: GenerationRequest) -> bool:
        # The engine would let more wait, and begin them in steps of its own choice.
        if self._queue.held >= self._max_running:
            return False
        return self._prefill.may_begin(request.prompt_tokens, self._companions.tokens)

    def _join(self, requests: int) -> None:
        # Behind a prompt that is cut they would get nothing, or an unknown part.
        if not self._prefill.is_cutting(self._companions.tokens):
            self._companions.join(requests)

    def _begin(self, request_id: int, request: GenerationRequest) -> None:
        if self._prefill.is_long(request.prompt_tokens, self._companions.tokens):
            # All last until it is done, and one more can go when the last cut would leave a single token.
            steps = max(self._steps(request), OVERLAP_TOKENS)
            self._companions.join(self._queue.begun, spare=1, steps=steps)
        self._engine.add(request_id, request)
        self._prefill.begin(request_id, request.prompt_tokens)

    def _tokens(self, request: GenerationRequest) -> int:
        """What a request can come to hold of the KV cache, with companions made to outlast its prompt."""
        own = request.prompt_tokens + request.sampling.max_new_tokens + _BLOCK_TOKENS
        steps = self._steps(request)
        return own if steps <= OVERLAP_TOKENS else own + max(2, self._beside) * (steps + 2 * OVERLAP_TOKENS)

    def _steps(self, request: GenerationRequest) -> int:
        """In how many steps its prompt is done, at most."""
        return -(-request.prompt_tokens // self._least_prompt_tokens)


def _step_size(config: EngineConfig, model: Path, threads: int, *, cuts: bool) -> StepSize:
    limits = {"max_batched_tokens": config.max_batched_tokens, "max_running": config.max_running}
    wanted = most_tokens(max(threads, MOST_LEAST_ROWS), **limits)
    most = min(wanted, _TRIED_ROWS) if cuts else _TRIED_ROWS
    parts = alike_rows(graph_of(model), config.properties, most=most)
    return (fit if cuts else fit_uncut)(parts, threads, **limits)

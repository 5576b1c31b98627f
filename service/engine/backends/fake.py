"""A deterministic backend without a model, for protocol tests and fault injection.

Each request answers with its own prompt's token ids, over and over. The runtime properties script the
rest: `step_s` is the duration of a step, `load_s` of loading; `refusal` is why the model can't be loaded;
`eos_id` ends an answer; `<fault>_id` names the prompt token that sets a fault off: `reject_id` (add raises),
`full_id` (the request alone fails), `poison_id` (step raises), `crash_id` (the process dies), `hang_id` (step
never returns).
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

from service.domain import GenerationRequest
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed, PromptScored, TokenDelta
from service.errors import ConfigError


@dataclass(slots=True)
class _Running:
    request: GenerationRequest
    source: Iterator[int]
    generated: int = 0


class FakeBackend:
    """See Backend for the contract."""

    def __init__(self, config: EngineConfig) -> None:
        self._step_s = float(config.properties.get("step_s", "0"))
        self._ids = {name: int(value) for name, value in config.properties.items() if name.endswith("_id")}
        self._running: dict[int, _Running] = {}
        self._max_running = config.max_running
        time.sleep(float(config.properties.get("load_s", "0")))
        if refusal := config.properties.get("refusal"):
            raise ConfigError(refusal)

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Start to echo the prompt."""
        if self._asks_for("reject_id", request):
            raise ValueError("scripted refusal")
        self._running[request_id] = _Running(request, cycle(request.prompt_ids or [0]))

    def cancel(self, request_id: int) -> None:
        """Forget the request at once."""
        self._running.pop(request_id, None)

    def step(self) -> list[EngineEvent]:
        """Give every request its next token, or the fault it asks for."""
        time.sleep(self._step_s)
        events: list[EngineEvent] = []
        for request_id, running in list(self._running.items()):
            self._act_out_faults(running.request)
            events += self._advance(request_id, running)
            if not isinstance(events[-1], TokenDelta):
                del self._running[request_id]
        return events

    def running(self) -> int:
        """Count unfinished requests."""
        return len(self._running)

    def cache_ratio(self) -> float:
        """As if each request that may run held the same part."""
        return len(self._running) / self._max_running

    def close(self) -> None:
        """Forget everything."""
        self._running.clear()

    def _advance(self, request_id: int, running: _Running) -> list[EngineEvent]:
        if self._asks_for("full_id", running.request):
            return [Failed(request_id, "scripted full cache", True)]
        sampling = running.request.sampling
        token_id = next(running.source)
        running.generated += 1
        events: list[EngineEvent] = []
        if sampling.prompt_logprobs and running.generated == 1:
            events.append(PromptScored(request_id, [-0.5] * (len(running.request.prompt_ids) - 1)))
        events.append(TokenDelta(request_id, [token_id], [-0.5] if sampling.logprobs else None))
        if token_id == self._ids.get("eos_id") and not sampling.ignore_eos:
            events.append(Done(request_id, "eos_token"))
        elif running.generated >= sampling.max_new_tokens:
            events.append(Done(request_id, "length"))
        return events

    def _act_out_faults(self, request: GenerationRequest) -> None:
        if self._asks_for("poison_id", request):
            raise RuntimeError("scripted failure of a step")
        if self._asks_for("crash_id", request):
            os._exit(70)
        if self._asks_for("hang_id", request):
            time.sleep(3600)

    def _asks_for(self, fault: str, request: GenerationRequest) -> bool:
        return fault in self._ids and self._ids[fault] in request.prompt_ids

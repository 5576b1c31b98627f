"""A KV cache that runs full costs no engine: requests wait, or end with an error of their own."""

from pathlib import Path
from typing import Any

import openvino_genai as genai
import pytest

from service.domain import GenerationRequest, Sampling
from service.engine.config import EngineConfig
from service.engine.protocol import Backend, Done, EngineEvent, Failed, TokenDelta
from service.engine.registry import load_backend

BLOCKS = 24
BLOCK_TOKENS = 32


class SmallCache(genai.SchedulerConfig):  # type: ignore[misc]  # the runtime has no types
    """The smallest cache that can be asked for by its size would take long to fill."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(*(("num_kv_blocks", BLOCKS) if name == "cache_size" else (name, value)))


@pytest.fixture(params=["openvino", "openvino-lookup"])
def backend(request: pytest.FixtureRequest, default_model: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setattr(genai, "SchedulerConfig", SmallCache)
    return load_backend(
        EngineConfig(
            backend=request.param,
            model_path=str(default_model),
            device="CPU",
            cache_gib=1,
            max_batched_tokens=256,
            max_running=16,
            prefix_caching=request.param == "openvino",
            prompt_lookup=5 if request.param == "openvino-lookup" else None,
        )
    )


def _add(backend: Backend, request_id: int, *, tokens: int) -> None:
    prompt_ids = [504, 253, 198, 28, 314, 260 + request_id] * 6
    sampling = Sampling(max_new_tokens=tokens, ignore_eos=True)
    backend.add(request_id, GenerationRequest(prompt_ids=prompt_ids, sampling=sampling))


def _run(backend: Backend) -> list[EngineEvent]:
    events: list[EngineEvent] = []
    for _ in range(3000):
        if not backend.running():
            return events
        events += backend.step()
    raise AssertionError("the backend never became idle")


def _count(events: list[EngineEvent], request_id: int) -> int:
    deltas = [event for event in events if isinstance(event, TokenDelta) and event.request_id == request_id]
    return sum(len(delta.token_ids) for delta in deltas)


def test_more_requests_than_the_cache_holds_get_all_their_tokens(backend: Backend) -> None:
    for request_id in range(1, 11):
        _add(backend, request_id, tokens=150)
    events = _run(backend)
    assert [_count(events, request_id) for request_id in range(1, 11)] == [150] * 10
    ends = [event.request_id for event in events if isinstance(event, Done | Failed)]
    assert sorted(ends) == list(range(1, 11))
    backend.close()


def test_a_request_larger_than_the_cache_fails_alone(backend: Backend) -> None:
    _add(backend, 1, tokens=BLOCKS * BLOCK_TOKENS)
    _add(backend, 2, tokens=40)
    events = _run(backend)
    ends = {event.request_id: event for event in events if isinstance(event, Done | Failed)}
    assert isinstance(ends[1], Failed)
    assert ends[2] == Done(2, "length")
    _add(backend, 3, tokens=20)
    assert _count(_run(backend), 3) == 20
    backend.close()


def test_what_waits_for_room_can_be_cancelled(backend: Backend) -> None:
    for request_id in range(1, 11):
        _add(backend, request_id, tokens=150)
    backend.step()
    for request_id in range(2, 11):
        backend.cancel(request_id)
    events = _run(backend)
    assert {event.request_id for event in events} == {1}
    _add(backend, 11, tokens=200)
    assert _count(_run(backend), 11) == 200
    backend.close()

"""The measuring of the KV cache for prompt lookup ends, whatever the engine does."""

import pytest

from service.domain import GenerationRequest
from service.engine.backends.openvino_lookup import count_blocks
from service.engine.protocol import Done, EngineEvent, Failed, TokenDelta
from service.errors import ConfigError, EngineError


class ScriptedEngine:
    """Each step gives the next events; the request it was given lives until they say that it ended."""

    def __init__(self, *steps: list[EngineEvent], ratio: float = 0.02) -> None:
        self._steps = list(steps)
        self._ratio = ratio
        self._unfinished = 0

    def add(self, request_id: int, request: GenerationRequest) -> None:
        del request_id, request
        self._unfinished += 1

    def cancel(self, request_id: int) -> None:
        raise AssertionError(request_id)

    def step(self) -> list[EngineEvent]:
        events = self._steps.pop(0) if self._steps else []
        self._unfinished -= sum(isinstance(event, Done | Failed) for event in events)
        return events

    def running(self) -> int:
        return self._unfinished

    def cache_ratio(self) -> float:
        return self._ratio if self._unfinished else 0.0

    def close(self) -> None:
        raise AssertionError


ANSWER: list[list[EngineEvent]] = [[TokenDelta(0, [1], None)], [Done(0, "length")]]


def test_the_part_that_one_block_takes_tells_the_number_of_blocks() -> None:
    assert count_blocks(ScriptedEngine(*ANSWER), 1) == 50


def test_a_cache_without_room_for_a_block_is_told() -> None:
    with pytest.raises(ConfigError, match="`cache_gib` = 1 has no room"):
        count_blocks(ScriptedEngine([Failed(0, "the KV cache has no room for this request", True)]), 1)


def test_an_engine_that_never_answers_is_not_waited_for() -> None:
    with pytest.raises(EngineError, match=r"within 100 steps: take `prompt_lookup` out"):
        count_blocks(ScriptedEngine(), 1)


def test_an_engine_that_tells_no_part_is_an_error_and_no_division_by_zero() -> None:
    with pytest.raises(EngineError, match="its size can't be told"):
        count_blocks(ScriptedEngine(*ANSWER, ratio=0.0), 1)

"""Turns of the requests with images."""

import asyncio

import pytest

from service.engine import handover
from service.engine.handover import Handover
from service.engine.protocol import Deliver, Started


class Hand:
    """One request that brings pictures."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self.deliver: Deliver | None = None
        self.may_end = asyncio.Event()
        self.told = 0
        self.task = asyncio.create_task(self._hold())

    def _tell(self, _events: object) -> bool:
        self.told += 1
        return True

    async def _hold(self) -> None:
        async with self._handover.turn(self._tell) as self.deliver:
            await self.may_end.wait()

    @property
    def has_turn(self) -> bool:
        return self.deliver is not None


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_TURNS", 1)


async def test_the_next_one_has_its_turn_when_the_engine_has_taken_up_the_first() -> None:
    shared = Handover()
    first, second = Hand(shared), Hand(shared)
    await _settle()
    assert (first.has_turn, second.has_turn) == (True, False)
    assert first.deliver is not None
    assert first.deliver([Started(1, 0.0)])
    assert first.deliver([Started(1, 0.0)])
    await _settle()
    assert second.has_turn
    assert first.told == 2
    first.may_end.set()
    await first.task
    third = Hand(shared)
    await _settle()
    # The end of the first one took no turn from the second.
    assert not third.has_turn
    for hand in (second, third):
        hand.task.cancel()
    await asyncio.gather(second.task, third.task, return_exceptions=True)


async def test_one_that_the_engine_never_takes_up_gives_its_turn_away_when_it_ends() -> None:
    shared = Handover()
    first, second = Hand(shared), Hand(shared)
    await _settle()
    first.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first.task
    await _settle()
    assert second.has_turn
    second.may_end.set()
    await second.task


async def test_who_leaves_while_waiting_takes_no_turn() -> None:
    shared = Handover()
    first, second, third = Hand(shared), Hand(shared), Hand(shared)
    await _settle()
    second.task.cancel()
    first.may_end.set()
    await asyncio.gather(first.task, second.task, return_exceptions=True)
    await _settle()
    assert third.has_turn
    assert not second.has_turn
    third.may_end.set()
    await third.task

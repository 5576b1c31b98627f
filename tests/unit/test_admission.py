"""So many requests are let in, so many of them at once, and none while draining."""

import asyncio

import pytest

from service.admission import Admission
from service.errors import OverloadedError, UnavailableError


class Visitor:
    """A request that stays inside until told to go."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._may_go = asyncio.Event()
        self.is_running = False
        self.task = asyncio.create_task(self._visit())

    async def _visit(self) -> None:
        with self._admission.places(1):
            async with self._admission.turn():
                self.is_running = True
                await self._may_go.wait()

    async def leave(self) -> None:
        self._may_go.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def enter(admission: Admission, count: int) -> list[Visitor]:
    visitors = [Visitor(admission) for _ in range(count)]
    await settle()
    return visitors


async def test_one_more_than_allowed_is_refused_with_the_limit_until_one_leaves() -> None:
    admission = Admission(max_requests=3, max_running=2)
    visitors = await enter(admission, 3)
    assert [visitor.is_running for visitor in visitors] == [True, True, False]
    with pytest.raises(OverloadedError, match="at most 3") as refusal, admission.places(1):
        pass
    assert refusal.value.retry_after_s > 0
    await visitors[0].leave()
    await settle()
    assert [visitor.is_running for visitor in visitors] == [True, True, True]
    async with asyncio.timeout(1):
        fourth = (await enter(admission, 1))[0]
        for visitor in (*visitors[1:], fourth):
            await visitor.leave()
    assert admission.inside == 0


async def test_those_who_wait_get_their_turn_in_order() -> None:
    admission = Admission(max_requests=10, max_running=1)
    visitors = await enter(admission, 4)
    for number, visitor in enumerate(visitors):
        assert [other.is_running for other in visitors] == [True] * (number + 1) + [False] * (3 - number)
        await visitor.leave()
        await settle()


async def test_a_place_is_freed_by_an_error_and_by_a_cancellation() -> None:
    admission = Admission(max_requests=2, max_running=1)
    with pytest.raises(RuntimeError), admission.places(1):
        raise RuntimeError
    running, waiting = await enter(admission, 2)
    waiting.task.cancel()
    await settle()
    assert admission.inside == 1
    running.task.cancel()
    await settle()
    assert admission.inside == 0
    (next_one,) = await enter(admission, 1)
    assert next_one.is_running
    await next_one.leave()


async def test_a_refused_one_takes_no_place() -> None:
    admission = Admission(max_requests=1, max_running=1)
    (inside,) = await enter(admission, 1)
    for _ in range(3):
        with pytest.raises(OverloadedError), admission.places(1):
            pass
    assert admission.inside == 1
    await inside.leave()
    assert admission.inside == 0


async def test_draining_refuses_new_ones_and_ends_when_the_last_has_left() -> None:
    admission = Admission(max_requests=5, max_running=1)
    running, waiting = await enter(admission, 2)
    admission.start_draining()
    with pytest.raises(UnavailableError, match="shutting down") as refusal, admission.places(1):
        pass
    assert refusal.value.retry_after_s > 0
    idle = asyncio.create_task(admission.wait_idle())
    await running.leave()
    await settle()
    assert waiting.is_running
    assert not idle.done()
    await waiting.leave()
    async with asyncio.timeout(1):
        await idle


async def test_nobody_inside_is_idle_at_once() -> None:
    async with asyncio.timeout(1):
        await Admission(max_requests=1, max_running=1).wait_idle()

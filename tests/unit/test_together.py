"""Works side by side."""

import asyncio

import pytest

from service.together import run_together


async def _note(name: str, done: list[str], after_s: float = 0.0) -> None:
    await asyncio.sleep(after_s)
    done.append(name)


async def _break() -> None:
    await asyncio.sleep(0)
    raise LookupError("mine")


async def _stay(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("stayed")


async def test_all_are_done_when_it_returns() -> None:
    done: list[str] = []
    await run_together([_note("slow", done, 0.01), _note("quick", done)])
    assert done == ["quick", "slow"]


async def test_the_error_of_a_single_one_is_its_own() -> None:
    with pytest.raises(LookupError, match="mine"):
        await run_together([_break()])


async def test_the_first_error_ends_the_others_before_it_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(LookupError, match="mine"):
        await run_together([_stay(ended), _break()])
    assert ended == ["stayed"]


async def test_cancelling_it_ends_them_all() -> None:
    ended: list[str] = []
    running = asyncio.create_task(run_together([_stay(ended), _stay(ended)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["stayed", "stayed"]

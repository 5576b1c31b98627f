"""Room for decoded pictures: bounded, in turn, given back."""

import asyncio

import pytest

from service.prompt.images.room import PictureRoom


async def _taken(room: PictureRoom, count: int, order: list[int], release: asyncio.Event) -> None:
    async with room.taken(count):
        order.append(count)
        await release.wait()


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_finds_too_little_room_waits_and_is_not_overtaken() -> None:
    room, order = PictureRoom(4), list[int]()
    release = [asyncio.Event() for _ in range(3)]
    tasks = [
        asyncio.create_task(_taken(room, count, order, event))
        for count, event in zip((3, 4, 1), release, strict=True)
    ]
    await _settled()
    # One picture would fit, but whoever came before it goes first.
    assert order == [3]
    release[0].set()
    await _settled()
    assert order == [3, 4]
    release[1].set()
    release[2].set()
    await asyncio.gather(*tasks)
    assert order == [3, 4, 1]


async def test_who_gives_up_waiting_or_fails_inside_leaves_the_room_to_others() -> None:
    room, order, release = PictureRoom(2), list[int](), asyncio.Event()
    holder = asyncio.create_task(_taken(room, 2, order, release))
    waiter = asyncio.create_task(_taken(room, 1, order, release))
    await _settled()
    waiter.cancel()
    await _settled()
    holder.cancel()
    await _settled()
    with pytest.raises(ValueError, match="inside"):
        async with room.taken(2):
            raise ValueError("inside")
    async with asyncio.timeout(1), room.taken(2):
        pass

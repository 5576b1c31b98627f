"""Reads several streams as one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


def merged(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """All items of `streams` as they come, each with the index of its stream.

    The first error of one ends them all; closing this closes them all.
    """
    return _only(streams[0]) if len(streams) == 1 else _race(streams)


async def _only(stream: AsyncGenerator[T, None]) -> AsyncGenerator[tuple[int, T], None]:
    async with aclosing(stream):
        async for item in stream:
            yield 0, item


async def _race(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    pending = {_next(stream): index for index, stream in enumerate(streams)}
    try:
        while pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                item = task.result()
                index = pending.pop(task)
                if item is not None:
                    yield index, item
                    pending[_next(streams[index])] = index
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def _next(stream: AsyncGenerator[T, None]) -> "asyncio.Task[T | None]":
    return asyncio.ensure_future(anext(stream, None))

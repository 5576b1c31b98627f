"""Reads several streams as one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeVar

T = TypeVar("T")


def merged(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """All items of `streams` as they come.

    The first error of one ends them all; closing this closes them all.
    """
    return streams[0] if len(streams) == 1 else _race(streams)


async def _race(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    pending = {_next(stream): stream for stream in streams}
    try:
        while pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                item = task.result()
                stream = pending.pop(task)
                if item is not None:
                    yield item
                    pending[_next(stream)] = stream
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def _next(stream: AsyncGenerator[T, None]) -> "asyncio.Task[T | None]":
    return asyncio.ensure_future(anext(stream, None))

"""Bounds how many decoded pictures are in memory at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class PictureRoom:
    """Room for `most` pictures; whoever finds too little waits in line."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._line = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def taken(self, count: int) -> AsyncGenerator[None, None]:
        """Hold room for `count` pictures, never more than there is at all, all of it at once."""
        # One at a time waits for room, so that a request with many pictures is not overtaken for ever.
        async with self._line:
            while self._free < count:
                self._freed.clear()
                await self._freed.wait()
            self._free -= count
        try:
            yield
        finally:
            self._free += count
            self._freed.set()

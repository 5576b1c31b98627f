"""Lets only so many requests of a model in, and none while draining."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from service.errors import OverloadedError, UnavailableError

_RETRY_AFTER_S = 1.0
_DRAIN_RETRY_AFTER_S = 30.0


class Admission:
    """Counts a model's requests: at most `max_requests` inside, `max_running` of them past the queue."""

    def __init__(self, *, max_requests: int, max_running: int) -> None:
        self.max_requests = max_requests
        self._running = asyncio.Semaphore(max_running)
        self._inside = 0
        self._is_draining = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def inside(self) -> int:
        """Requests running or waiting."""
        return self._inside

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None, None]:
        """Enter, waiting in line for a running place; leaving frees it.

        Raises:
            OverloadedError: `max_requests` are inside already.
            UnavailableError: the service is draining.
        """
        if self._is_draining:
            raise UnavailableError("the service is shutting down", retry_after_s=_DRAIN_RETRY_AFTER_S)
        if self._inside >= self.max_requests:
            raise OverloadedError(
                f"{self.max_requests} requests of this model are running or waiting, the most allowed",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._inside += 1
        self._is_idle.clear()
        try:
            async with self._running:
                yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._is_idle.set()

    def start_draining(self) -> None:
        """Let nobody in any more."""
        self._is_draining = True

    async def wait_idle(self) -> None:
        """Return once nobody is inside."""
        await self._is_idle.wait()

"""Lets only so many requests of a model in, and none while draining."""

import asyncio
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager

from service.errors import OverloadedError, UnavailableError

_RETRY_AFTER_S = 1.0
_DRAIN_RETRY_AFTER_S = 30.0


class Admission:
    """Counts a model's requests: at most `max_requests` have a place, and `max_running` of them a turn."""

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

    @contextmanager
    def places(self, count: int) -> Generator[None, None, None]:
        """Hold places for `count` requests, all or none.

        Raises:
            OverloadedError: there are not so many left.
            UnavailableError: the service is draining.
        """
        if self._is_draining:
            raise UnavailableError("the service is shutting down", retry_after_s=_DRAIN_RETRY_AFTER_S)
        if self._inside + count > self.max_requests:
            raise OverloadedError(
                f"{self._inside} requests of this model are running or waiting, "
                f"and at most {self.max_requests} may",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._inside += count
        self._is_idle.clear()
        try:
            yield
        finally:
            self._inside -= count
            if not self._inside:
                self._is_idle.set()

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait in line to run; to be held by each request that has a place."""
        return self._running

    def start_draining(self) -> None:
        """Let nobody in any more."""
        self._is_draining = True

    async def wait_idle(self) -> None:
        """Return once nobody is inside."""
        await self._is_idle.wait()

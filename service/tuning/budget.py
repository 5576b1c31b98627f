"""Keeps a search within its time."""

import asyncio
from collections.abc import Awaitable, Callable

_MOST_OVER = 1.2
"""The end of the last measurement may come so many times as late as asked for; then everything is cut off."""


class Budget:
    """The time of one search, from now on; `clock` is monotonic, in seconds."""

    def __init__(self, total_s: float, clock: Callable[[], float]) -> None:
        self.total_s = total_s
        self._clock = clock
        self._began_s = clock()

    @property
    def took_s(self) -> float:
        """What is over of it."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float:
        """What is left; negative when it is overrun."""
        return self.total_s - self.took_s

    @property
    def most_left_s(self) -> float:
        """What is left until everything is cut off."""
        return _MOST_OVER * self.total_s - self.took_s

    def has_for(self, wanted_s: float) -> bool:
        """Whether a search that takes so long in all is to be begun."""
        return wanted_s <= _MOST_OVER * self.total_s


async def finishes_within(left_s: float, work: Callable[[], Awaitable[None]]) -> bool:
    """Do what of the work the time allows; say whether that was all of it."""
    if left_s <= 0:
        return False
    try:
        async with asyncio.timeout(left_s) as scope:
            await work()
    except TimeoutError:
        if not scope.expired():
            raise
        return False
    return True

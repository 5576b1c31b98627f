"""Measures how late the event loop runs what is due."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from prometheus_client import CollectorRegistry, Histogram

_INTERVAL_S = 0.25
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class EventLoopWatch:
    """Sleeps and looks how much longer that took: what waited that long is every request's next token."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lag = Histogram(
            "tiber_event_loop_lag_seconds",
            "Time by which the event loop of the API process is late, looked at four times a second.",
            buckets=_LAG_S,
            registry=registry,
        )
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            due_s = self._clock() + _INTERVAL_S
            await self._sleep(_INTERVAL_S)
            self._lag.observe(max(0.0, self._clock() - due_s))

"""How late the loop is, with a clock that the test moves."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from service.telemetry.event_loop import EventLoopWatch


async def test_what_a_sleep_takes_too_long_is_the_lag() -> None:
    registry = CollectorRegistry()
    now = 0.0
    lates = iter([0.0, 0.03, 0.4])

    async def sleep(seconds: float) -> None:
        nonlocal now
        late = next(lates, None)
        if late is None:
            raise asyncio.CancelledError
        now += seconds + late

    with pytest.raises(asyncio.CancelledError):
        await EventLoopWatch(registry, clock=lambda: now, sleep=sleep).run()
    assert registry.get_sample_value("tiber_event_loop_lag_seconds_count") == 3
    assert registry.get_sample_value("tiber_event_loop_lag_seconds_sum") == pytest.approx(0.43)
    assert registry.get_sample_value("tiber_event_loop_lag_seconds_bucket", {"le": "0.05"}) == 2

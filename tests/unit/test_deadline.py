"""A deadline cuts off what is late, with our own error."""

import asyncio

import pytest

from service.deadline import Deadline
from service.errors import DeadlineError


async def test_what_is_late_is_cut_off() -> None:
    with pytest.raises(DeadlineError, match=r"within 0\.01 s"):
        async with Deadline.after(0.01).enforced():
            await asyncio.Event().wait()


async def test_a_timeout_of_its_own_kind_is_no_reason_to_blame_the_deadline() -> None:
    async with Deadline.after(60).enforced():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

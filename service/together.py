"""Does several works side by side."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def run_together(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all `works`; the first error of one ends them all, and so does cancelling this."""
    if len(works) == 1:
        await works[0]
        return
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

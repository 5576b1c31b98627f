"""Brings pictures to an engine few requests at a time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from service.engine.protocol import Deliver, EngineEvent

# One that the engine takes up, and one that is there when it looks for the next.
_TURNS = 2


class Handover:
    """Gives a request its turn, which lasts until the engine has taken it up.

    The engine takes up one request with images between two steps. All others would wait in the pipe, in front
    of everything else; those that wait here cost nothing when their clients leave.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_TURNS)

    @asynccontextmanager
    async def turn(self, deliver: Deliver) -> AsyncGenerator[Deliver, None]:
        """Wait for a turn; what is given stands for `deliver` and ends the turn when it is first called."""
        await self._turns.acquire()
        has_turn = True

        def end_turn() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                self._turns.release()

        def taken_up(events: Sequence[EngineEvent]) -> bool:
            end_turn()
            return deliver(events)

        try:
            yield taken_up
        finally:
            end_turn()

"""Brings pictures to an engine one request at a time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from service.engine.protocol import Deliver, EngineEvent


class Handover:
    """Gives one request at a time its turn, which lasts until the engine has taken it up.

    The engine encodes the images of a request as it takes it up, and no stream gets a token meanwhile: so
    there is a step between two of them. Those that wait here are not in the pipe, in front of everything
    else, and cost nothing when their clients leave.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, deliver: Deliver) -> AsyncGenerator[Deliver, None]:
        """Wait for a turn; what is given stands for `deliver` and ends the turn when it is first called."""
        await self._turn.acquire()
        has_turn = True

        def end_turn() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                self._turn.release()

        def taken_up(events: Sequence[EngineEvent]) -> bool:
            end_turn()
            return deliver(events)

        try:
            yield taken_up
        finally:
            end_turn()

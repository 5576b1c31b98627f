"""When a request must be whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.errors import DeadlineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A point in the event loop's time, `limit_s` seconds after the request was accepted."""

    at_s: float
    limit_s: float

    @classmethod
    def after(cls, limit_s: float) -> "Deadline":
        """The deadline of a request that is accepted now."""
        return cls(at_s=asyncio.get_running_loop().time() + limit_s, limit_s=limit_s)

    def error(self) -> DeadlineError:
        """What a request that is late gets."""
        return DeadlineError(f"no complete answer within {self.limit_s:g} s, the limit of this service")

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cut the body off when it is late. Raises: DeadlineError."""
        try:
            async with asyncio.timeout_at(self.at_s):
                yield
        except TimeoutError as error:
            raise self.error() from error

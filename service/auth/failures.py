"""What the guard needs from a store of failed attempts."""

from typing import Protocol

from service.auth.policy import BanPolicy


class FailureStore(Protocol):
    """Remembers the failures of each address.

    Every method is atomic for its address, so that a store shared between processes keeps the
    policy's limit too, and every method answers the seconds left of a ban that was running at `now`,
    before the call: 0 when there was none. So one call tells the guard all it has to know.
    """

    async def ban_left_s(self, address: str, *, now: float) -> float:
        """Look only."""
        ...

    async def add_failure(self, address: str, *, policy: BanPolicy, now: float) -> float:
        """Count a wrong token as `policy` says, unless a ban is running."""
        ...

    async def forgive(self, address: str, *, now: float) -> float:
        """Forget the failures after a right token; a running ban stays."""
        ...

"""What the guard needs from a store of failed attempts; what an operator needs from one of bans."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.auth.policy import BanPolicy

WRONG_TOKENS = "wrong tokens"
"""The reason of every ban that the policy makes."""

FOREVER = 253_402_300_799.0
"""The end of a ban without end, in seconds: the year 9999's, a number that every file and Redis can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """An address that is kept out until `until`, in seconds of the time of day."""

    address: str
    until: float
    reason: str


class FailureStore(Protocol):
    """Remembers the failures of each address.

    Every method is atomic for its address, so that a store shared between processes keeps the
    policy's limit too, and every method answers the seconds left of a ban that was running at `now`,
    before the call: 0 when there was none. So one call tells the guard all it has to know. `now` is
    the time of day: bans outlive the process, and are shared between machines.
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


class BanList(Protocol):
    """The bans as an operator sees them.

    Every method raises a ConfigError when the list can't be reached.
    """

    async def bans(self, *, now: float) -> Sequence[Ban]:
        """Those that are running, the one that ends first before the others."""
        ...

    async def ban(self, address: str, *, until: float, now: float, reason: str) -> None:
        """Ban an address in place of any ban that it has."""
        ...

    async def lift(self, address: str, *, now: float) -> bool:
        """End a ban; False when none was running."""
        ...


class StoreObserver(Protocol):
    """Is told how a store behind a network fares."""

    def store_failed(self) -> None:
        """A call got no answer in time, or an error."""
        ...

    def store_changed(self, *, is_up: bool) -> None:
        """The store is used from now on, or done without; told once at each change."""
        ...

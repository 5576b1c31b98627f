"""Keeps failed attempts in this process's memory, for a service of one API process."""

from collections import OrderedDict

from service.auth.policy import BanPolicy, Failures


class MemoryFailureStore:
    """A FailureStore of at most `max_addresses`: beyond that the one seen longest ago is forgotten.

    No method awaits anything, so each one is atomic on the event loop.
    """

    def __init__(self, *, max_addresses: int = 100_000) -> None:
        self._max_addresses = max_addresses
        self._failures: OrderedDict[str, Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    async def ban_left_s(self, address: str, *, now: float) -> float:
        """Look only; looking keeps a ban from being the first to be forgotten."""
        failures = self._live(address, now)
        if failures is None:
            return 0.0
        self._failures.move_to_end(address)
        return failures.ban_left_s(now)

    async def add_failure(self, address: str, *, policy: BanPolicy, now: float) -> float:
        """Count a wrong token as `policy` says, unless a ban is running."""
        past = self._live(address, now)
        self._failures[address] = policy.after_failure(past, now)
        self._failures.move_to_end(address)
        self._make_room(now)
        return past.ban_left_s(now) if past is not None else 0.0

    async def forgive(self, address: str, *, now: float) -> float:
        """Forget the failures after a right token; a running ban stays."""
        failures = self._live(address, now)
        if failures is None:
            return 0.0
        if not failures.is_ban:
            del self._failures[address]
        return failures.ban_left_s(now)

    def _live(self, address: str, now: float) -> Failures | None:
        failures = self._failures.get(address)
        if failures is not None and not failures.is_live(now):
            del self._failures[address]
            return None
        return failures

    def _make_room(self, now: float) -> None:
        # The order is that of last use, so the expired gather at the front: each is removed once,
        # and no call scans the whole store.
        while self._failures:
            address, oldest = next(iter(self._failures.items()))
            if oldest.is_live(now) and len(self._failures) <= self._max_addresses:
                return
            del self._failures[address]

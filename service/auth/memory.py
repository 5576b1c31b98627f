"""Keeps failed attempts in this process's memory, for a service of one API process."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from service.auth.ban_table import BanTable
from service.auth.failures import WRONG_TOKENS, Ban
from service.auth.policy import BanPolicy, Failures


class MemoryFailureStore:
    """A FailureStore of at most `max_addresses` counts, and as many bans.

    One count more, and the one that grew longest ago is forgotten; one ban more, and the one that ends
    first. Counts and bans are bounded apart, so that addresses without number, which cost whoever has
    an IPv6 /32 nothing, lift no ban: that takes `max_addresses` bans more, each `max_failures` requests.

    No method awaits anything, so each one is atomic on the event loop.
    """

    def __init__(self, *, max_addresses: int = 100_000) -> None:
        self._max_addresses = max_addresses
        self._counts: OrderedDict[str, Failures] = OrderedDict()
        self._bans = BanTable(max_addresses)
        self._new: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts) + len(self._bans)

    async def ban_left_s(self, address: str, *, now: float) -> float:
        """Look only."""
        return self._bans.left_s(address, now)

    async def add_failure(self, address: str, *, policy: BanPolicy, now: float) -> float:
        """Count a wrong token as `policy` says, unless a ban is running."""
        left_s = self._bans.left_s(address, now)
        if left_s > 0:
            return left_s
        failures = policy.after_failure(self._counts.pop(address, None), now)
        if failures.is_ban:
            self.learn(Ban(address=address, until=failures.until, reason=WRONG_TOKENS), now=now)
            self.mark_new((address,))
        else:
            self._counts[address] = failures
            self._make_room(now)
        return 0.0

    async def forgive(self, address: str, *, now: float) -> float:
        """Forget the failures after a right token; a running ban stays."""
        self.forget_count(address)
        return self._bans.left_s(address, now)

    def learn(self, ban: Ban, *, now: float) -> None:
        """Keep a ban that was made elsewhere."""
        self._bans.put(ban, now)

    def unlearn(self, address: str) -> None:
        """Forget a ban that was lifted elsewhere."""
        self._bans.remove(address)

    def forget_count(self, address: str) -> None:
        """Forget the failures that have led to no ban yet."""
        self._counts.pop(address, None)

    def mark_new(self, addresses: Iterable[str]) -> None:
        """Have the bans of `addresses` told as new."""
        for address in addresses:
            self._new[address] = None
            if len(self._new) > self._max_addresses:
                self._new.popitem(last=False)

    def take_new(self) -> Iterable[str]:
        """The addresses that were banned here since the last call; some bans may be over again."""
        new, self._new = self._new, OrderedDict()
        return new

    def take_new_bans(self, *, now: float) -> list[Ban]:
        """The running bans that were made here since the last call."""
        return [ban for address in self.take_new() if (ban := self._bans.get(address, now)) is not None]

    def running_bans(self, *, now: float) -> Iterator[Ban]:
        """Those that are running, in any order; any thread may ask."""
        return self._bans.running(now)

    def replace_bans(self, bans: BanTable) -> None:
        """Take over a whole table of bans; the store's own from now on."""
        self._bans = bans

    def _make_room(self, now: float) -> None:
        # The order is that of the last failure, so the expired gather at the front. Two at most for
        # each one that came: a flood that expires all at once holds up nobody.
        for _ in range(2):
            address, oldest = next(iter(self._counts.items()))
            if oldest.is_live(now) and len(self._counts) <= self._max_addresses:
                return
            del self._counts[address]

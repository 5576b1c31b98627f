"""The running bans of addresses, in memory."""

import heapq
from collections.abc import Iterable, Iterator

from service.auth.failures import Ban

# Ordered as tuples are: the one that ends first is the least.
_Entry = tuple[float, str, str]
_STALE = 64


class BanTable:
    """At most `max_bans`: beyond that the one that ends first gives way.

    So no flood of addresses pushes out an operator's ban, which outlasts those that the flood brings.
    """

    def __init__(self, max_bans: int, bans: Iterable[Ban] = ()) -> None:
        self._max_bans = max_bans
        self._entries = {ban.address: (ban.until, ban.address, ban.reason) for ban in bans}
        # Entries that are no more in `_entries` stay until they come up or are too many.
        self._by_end: list[_Entry] = list(self._entries.values())
        heapq.heapify(self._by_end)
        while len(self._entries) > max_bans:
            self._drop_first()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, address: str, now: float) -> Ban | None:
        """The ban of an address, if it is running."""
        entry = self._entries.get(address)
        if entry is None:
            return None
        if now >= entry[0]:
            del self._entries[address]
            return None
        return _ban(entry)

    def left_s(self, address: str, now: float) -> float:
        """Seconds left of the ban of an address; 0 when none is running."""
        entry = self._entries.get(address)
        if entry is None:
            return 0.0
        if now >= entry[0]:
            del self._entries[address]
            return 0.0
        return entry[0] - now

    def put(self, ban: Ban, now: float) -> None:
        """Keep a ban, in place of any other of its address."""
        entry = (ban.until, ban.address, ban.reason)
        if self._entries.get(ban.address) == entry:
            return
        self._entries[ban.address] = entry
        heapq.heappush(self._by_end, entry)
        while len(self._entries) > self._max_bans:
            self._drop_first()
        # Two at most for each one that came: a flood that ends all at once holds up nobody.
        for _ in range(2):
            if self._by_end and self._by_end[0][0] <= now:
                self._drop_first()
        if len(self._by_end) > 2 * len(self._entries) + _STALE:
            self._by_end = sorted(self._entries.values())

    def remove(self, address: str) -> bool:
        """Forget the ban of an address; False when there is none."""
        return self._entries.pop(address, None) is not None

    def running(self, now: float) -> Iterator[Ban]:
        """Those that are running, in any order; any thread may ask."""
        # One call takes all of them, during which no other thread runs. They are not sorted, which
        # would be another: 100,000 take 60 ms.
        entries = list(self._entries.values())
        return (_ban(entry) for entry in entries if now < entry[0])

    def _drop_first(self) -> None:
        entry = heapq.heappop(self._by_end)
        if self._entries.get(entry[1]) is entry:
            del self._entries[entry[1]]


def _ban(entry: _Entry) -> Ban:
    return Ban(address=entry[1], until=entry[0], reason=entry[2])

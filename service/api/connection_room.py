"""How many connections there may be, and which one gives way to another."""

from collections import Counter, OrderedDict
from typing import Protocol


class Guest(Protocol):
    """A connection that can give way."""

    def give_way(self) -> None:
        """Close: it waits for a request longer than all others."""


class Room:
    """Who waits for a request, the longest first; why connections were ended, for the log."""

    def __init__(self, *, max_connections: int) -> None:
        self._max_connections = max_connections
        # A plain dict gets slow at its front when it is emptied from there.
        self._waiting: OrderedDict[Guest, None] = OrderedDict()
        self.ended: Counter[str] = Counter()

    def wait(self, guest: Guest) -> None:
        """From now on the guest waits for a request."""
        self._waiting[guest] = None
        self._waiting.move_to_end(guest)

    def leave(self, guest: Guest) -> None:
        """The guest waits no longer: it is busy, or gone."""
        self._waiting.pop(guest, None)

    def admit(self, guest: Guest, *, open_connections: int) -> bool:
        """Let a new guest in to wait, if there is room or another gives way."""
        if open_connections > self._max_connections:
            if not self._waiting:
                return False
            longest, _ = self._waiting.popitem(last=False)
            self.ended["gave_way"] += 1
            longest.give_way()
        self.wait(guest)
        return True

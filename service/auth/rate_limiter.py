"""Keeps each client to its rate, in this process's memory."""

from array import array
from collections import OrderedDict
from itertools import islice
from typing import Protocol

from service.rate import RateLimit


class RateLimiter(Protocol):
    """Counts requests in moving windows."""

    async def hit(self, key: str, limit: RateLimit, *, now: float) -> float:
        """Let a request of `key` in at `now`, the time of day; give the seconds to wait, 0 when it is in.

        A key is its kind, a colon and a name: `token:alice`, `address:192.0.2.1`. A request that has
        to wait is not counted. A clock that was set back makes nobody wait for longer than two windows.
        """
        ...


class MemoryRateLimiter:
    """A RateLimiter of at most `max_keys` of each kind: beyond that the one seen longest ago is forgotten.

    Each kind has its own bound, so that a flood of addresses makes room for no token's next burst.
    """

    def __init__(self, *, max_keys: int = 100_000) -> None:
        self._max_keys = max_keys
        self._kinds: dict[str, OrderedDict[str, _Window]] = {}

    def __len__(self) -> int:
        return sum(len(windows) for windows in self._kinds.values())

    async def hit(self, key: str, limit: RateLimit, *, now: float) -> float:
        """Let a request in, or say how long it has to wait."""
        windows = self._kinds.setdefault(key.partition(":")[0], OrderedDict())
        window = windows.get(key)
        if window is None or window.burst != limit.burst:
            window = windows[key] = _Window(limit.burst, window.times() if window is not None else ())
        windows.move_to_end(key)
        wait_s = window.hit(limit.window_s, now)
        self._make_room(windows, now)
        return wait_s

    def _make_room(self, windows: "OrderedDict[str, _Window]", now: float) -> None:
        # Two at most for each one that came: no call scans the whole store.
        for key in list(islice(windows, 2)):
            if windows[key].is_over(now) or len(windows) > self._max_keys:
                del windows[key]


class _Window:
    """The times of the last `burst` requests: a ring, as long as it was ever full."""

    __slots__ = ("_oldest", "_times", "_window_s", "burst")

    def __init__(self, burst: int, times: "array[float] | tuple[()]" = ()) -> None:
        self.burst = burst
        self._times = array("d", times[-burst:])  # 8 bytes a time; a deque takes 624 for its first
        self._oldest = 0
        self._window_s = 0.0

    def times(self) -> "array[float]":
        """All of them, the oldest first."""
        return self._times[self._oldest :] + self._times[: self._oldest]

    def is_over(self, now: float) -> bool:
        """Whether nothing of it counts any more."""
        return now - self._times[self._oldest - 1] >= self._window_s

    def hit(self, window_s: float, now: float) -> float:
        """Take the time in, unless `burst` of them are less than `window_s` ago."""
        self._window_s = window_s
        if len(self._times) < self.burst:
            self._times.append(now)
            return 0.0
        passed_s = now - self._times[self._oldest]
        if -window_s <= passed_s < window_s:
            return window_s - passed_s
        self._times[self._oldest] = now
        self._oldest = (self._oldest + 1) % self.burst
        return 0.0

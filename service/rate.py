"""How often something may happen."""

import re
from dataclasses import dataclass

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_BURST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `burst` requests in any `window_s` seconds: `burst / window_s` a second on average."""

    burst: int
    window_s: float

    @property
    def per_s(self) -> float:
        """The average rate, in requests a second."""
        return self.burst / self.window_s


def parse_rate(text: str, burst: int | None = None) -> RateLimit:
    """Read a rate such as `10/s`, `600/m` or `1000/h`; without `burst`, as many at once as in a second.

    Raises:
        ValueError: saying what is allowed.
    """
    found = _RATE.fullmatch(text.strip())
    per_s = float(found[1]) / _SECONDS[found[2]] if found else 0.0
    if not per_s > 0:
        raise ValueError(f"{text!r} is no rate: write a number above 0 and /s, /m or /h, such as 10/s")
    at_once = burst if burst is not None else max(1, int(per_s))
    if not 0 < at_once <= _MAX_BURST:
        raise ValueError(f"a burst must be from 1 to {_MAX_BURST}, not {at_once}")
    return RateLimit(burst=at_once, window_s=at_once / per_s)

"""Counts failed authentications."""

from collections import OrderedDict
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.refusal import REASONS, Refusal

# As many as are remembered of them at all; more at once are a flood, and its size matters little.
_MAX_BANS = 100_000
_SAME_END_S = 1.0


class AuthenticationRecorder:
    """Counts refusals by reason, the bans made here, and those still in force; `clock` counts seconds."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        failures = Counter(
            "tiber_authentication_failures_total",
            "Requests refused for their token or their client, by reason.",
            ("reason",),
            registry=registry,
        )
        self._failures = {reason: failures.labels(reason) for reason in REASONS}
        self._bans = Counter("tiber_bans_total", "Bans of addresses.", registry=registry)
        in_force = Gauge("tiber_banned_addresses", "Addresses banned now.", registry=registry)
        in_force.set_function(self._in_force)
        self._clock = clock
        self._ends_s: OrderedDict[str, float] = OrderedDict()

    def refused(self, refusal: Refusal) -> None:
        """A request was not let in."""
        self._failures[refusal.reason].inc()

    def banned(self, address: str, left_s: float) -> None:
        """An address was banned; told twice of one ban, it counts once."""
        self._forget_ended()
        ends_s = self._clock() + left_s
        known_s = self._ends_s.get(address)
        # Noticeably later: a new one, after the first was lifted.
        if known_s is not None and ends_s > known_s + _SAME_END_S:
            del self._ends_s[address]
        if address not in self._ends_s and len(self._ends_s) < _MAX_BANS:
            self._bans.inc()
            self._ends_s[address] = ends_s

    def _in_force(self) -> float:
        self._forget_ended()
        return len(self._ends_s)

    def _forget_ended(self) -> None:
        # All bans last equally long, so they end in the order they were made.
        while self._ends_s and next(iter(self._ends_s.values())) <= self._clock():
            self._ends_s.popitem(last=False)

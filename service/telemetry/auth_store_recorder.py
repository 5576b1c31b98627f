"""Counts how the store of failures, bans and rates fares."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class AuthStoreRecorder:
    """Counts the failed calls of a store behind a network; memory never fails."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._errors = Counter(
            "tiber_auth_store_errors_total",
            "Calls to Redis that failed or got no answer in time.",
            registry=registry,
        )
        self._up = Gauge(
            "tiber_auth_store_up",
            "Whether failures, bans and rates are kept where they should be: 1, or 0 while Redis is away.",
            registry=registry,
        )
        self._up.set(1)

    def store_failed(self) -> None:
        """A call got no answer in time, or an error."""
        self._errors.inc()

    def store_changed(self, *, is_up: bool) -> None:
        """The store is used from now on, or done without."""
        self._up.set(is_up)

"""Bans: each once, and until it ends."""

import pytest
from prometheus_client import CollectorRegistry

from service.telemetry.authentication_recorder import AuthenticationRecorder


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(registry: CollectorRegistry, clock: Clock) -> AuthenticationRecorder:
    return AuthenticationRecorder(registry, clock)


def bans(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    """How many were made, how many are in force."""
    return registry.get_sample_value("tiber_bans_total"), registry.get_sample_value("tiber_banned_addresses")


def test_bans_are_in_force_until_they_end(
    recorder: AuthenticationRecorder, registry: CollectorRegistry, clock: Clock
) -> None:
    recorder.banned("a", 300)
    clock.now += 100
    recorder.banned("b", 300)
    assert bans(registry) == (2, 2)
    clock.now += 200
    assert bans(registry) == (2, 1)
    clock.now += 100
    assert bans(registry) == (2, 0)


def test_one_ban_told_of_twice_counts_once(
    recorder: AuthenticationRecorder, registry: CollectorRegistry
) -> None:
    recorder.banned("a", 300)
    recorder.banned("a", 300)
    assert bans(registry) == (1, 1)


def test_an_address_banned_again_counts_again(
    recorder: AuthenticationRecorder, registry: CollectorRegistry, clock: Clock
) -> None:
    recorder.banned("a", 300)
    clock.now += 301
    recorder.banned("a", 300)
    assert bans(registry) == (2, 1)


def test_a_ban_after_one_that_was_lifted_counts_too(
    recorder: AuthenticationRecorder, registry: CollectorRegistry, clock: Clock
) -> None:
    recorder.banned("a", 300)
    clock.now += 100
    recorder.banned("a", 200)
    assert bans(registry) == (1, 1)
    recorder.banned("a", 300)
    assert bans(registry) == (2, 1)

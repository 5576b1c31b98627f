"""What is told of everybody who is not let in, and of the stores that decide it."""

from collections.abc import Sequence
from typing import Protocol

from service.auth.failures import StoreObserver
from service.refusal import Refusal


class AuthObserver(Protocol):
    """Is told what the guard decides; must neither raise nor block."""

    def refused(self, refusal: Refusal) -> None:
        """A request was not let in."""

    def banned(self, address: str, left_s: float) -> None:
        """Wrong tokens banned an address for `left_s` seconds; several at once may each tell of it."""


class AuthObservers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[AuthObserver]) -> None:
        self._observers = observers

    def refused(self, refusal: Refusal) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.refused(refusal)

    def banned(self, address: str, left_s: float) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.banned(address, left_s)


class StoreObservers:
    """Several observers of a store as one."""

    def __init__(self, observers: Sequence[StoreObserver]) -> None:
        self._observers = observers

    def store_failed(self) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.store_failed()

    def store_changed(self, *, is_up: bool) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.store_changed(is_up=is_up)

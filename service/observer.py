"""What is told how each generation request goes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from service.domain import Finish, GenerationEvent, GenerationRequest


class RequestObserver(Protocol):
    """Follows one request from its acceptance, when it is made, to its end; must neither raise nor block."""

    def validated(self, request: GenerationRequest, *, took_s: float) -> None:
        """The request was tokenised and found right; it goes to the engine."""

    def received(self, batch: Sequence[GenerationEvent]) -> None:
        """Events go to the client."""

    def ended(self, outcome: Finish | Exception | None) -> None:
        """The one end of every request: an answer, an error, or None when the client left."""


ObserverFactory = Callable[[], RequestObserver]


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[RequestObserver]) -> None:
        self._observers = observers

    def validated(self, request: GenerationRequest, *, took_s: float) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.validated(request, took_s=took_s)

    def received(self, batch: Sequence[GenerationEvent]) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.received(batch)

    def ended(self, outcome: Finish | Exception | None) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.ended(outcome)

"""What the routes need, put together by bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.auth.guard import AuthGuard
from service.generation import TextModel


@dataclass(slots=True)
class Service:
    """The served models and the guard at the door; the first model answers."""

    models: Mapping[str, TextModel]
    guard: AuthGuard
    max_body_bytes: int
    is_draining: bool = False

    def model(self) -> TextModel:
        """The model that answers: the first one."""
        return next(iter(self.models.values()))

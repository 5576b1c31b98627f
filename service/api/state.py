"""What the routes need, put together by bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.auth.guard import AuthGuard
from service.errors import NotFoundError
from service.generation import TextModel


@dataclass(slots=True)
class Service:
    """The served models and the guard at the door; the first model answers when none is named."""

    models: Mapping[str, TextModel]
    guard: AuthGuard
    max_body_bytes: int
    is_draining: bool = field(default=False)

    def model(self, name: str | None = None) -> TextModel:
        """The model of that name, or the default one.

        Raises:
            NotFoundError: no model has that name.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise NotFoundError(f"no model named {name!r}; there are: {', '.join(self.models)}")
        return self.models[name]

"""What the routes need, put together by bootstrap."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.api.model_path import SCOPE_KEY
from service.api.trace_context import Tracing
from service.auth.guard import AuthGuard
from service.errors import NotFoundError
from service.generation import TextModel
from service.settings import LimitSettings, TLSSettings
from service.telemetry.metrics import Metrics

# What Hugging Face's clients send when their user named no model.
_NO_NAMES = frozenset({"", "tgi", "dummy"})


@dataclass(slots=True)
class Service:
    """The served models, the first one the default, and the guard at the door."""

    models: Mapping[str, TextModel]
    guard: AuthGuard
    max_body_bytes: int
    metrics: Metrics
    serves_metrics: bool
    guards_metrics: bool
    tracing: Tracing | None
    limits: LimitSettings
    tls: TLSSettings
    cors_origins: tuple[str, ...]
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    """What runs beside the requests, from the start until it is cancelled at the end."""
    is_draining: bool = False

    def model(self, request: Request, name: str | None = None) -> TextModel:
        """The model that answers: the path's, else the one of that name, else the first one.

        OpenAI's clients must name a model, so with a single one any name will do.

        Raises:
            NotFoundError: several are served, and none has that name.
        """
        name = request.scope.get(SCOPE_KEY, name)
        if name in self.models:
            return self.models[name]
        if name is None or name in _NO_NAMES or len(self.models) == 1:
            return next(iter(self.models.values()))
        raise NotFoundError(self.unknown_model(name))

    def models_of(self, request: Request) -> list[TextModel]:
        """The path's model alone, else all of them."""
        return [self.model(request)] if SCOPE_KEY in request.scope else list(self.models.values())

    def unknown_model(self, name: str) -> str:
        """What to tell a client that named a model which is not here."""
        return f"no model named {name!r} is served here; there are: {', '.join(self.models)}"

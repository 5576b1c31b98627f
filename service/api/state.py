"""What the routes need, put together by bootstrap."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.api.authentication import IDENTITY
from service.api.model_path import ANSWERING, SCOPE_KEY
from service.api.trace_context import Tracing
from service.auth.guard import AuthGuard, Identity
from service.errors import NotFoundError, TiberError
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
    takes_remote_images: bool = False
    is_draining: bool = False

    def model(self, request: Request, name: str | None = None, *, has_images: bool = False) -> TextModel:
        """The model that answers: the path's, else the one of that name, else the first the token may use.

        Where none is named, images go to the first that takes them. OpenAI's clients must name a model,
        so with a single one served any name will do.

        Raises:
            ForbiddenError: the token may not use what it names, be it here or not.
            NotFoundError: several are served, and none has that name.
        """
        name = request.scope.get(SCOPE_KEY, name)
        usable = self._usable(request)
        model = usable.get(name) if name is not None else None
        if model is None and usable and (name is None or name in _NO_NAMES or len(self.models) == 1):
            seeing = (one for one in usable.values() if one.image_limits)
            model = next(seeing, None) if has_images else None
            model = model or next(iter(usable.values()))
        if model is None:
            raise self.no_such_model(request, name)
        request.scope[ANSWERING] = model.name
        return model

    def named_model(self, request: Request, name: str) -> TextModel:
        """The model of exactly that name.

        Raises:
            ForbiddenError: the token may not use it, be it here or not.
            NotFoundError: there is none.
        """
        model = self._usable(request).get(name)
        if model is None:
            raise self.no_such_model(request, name)
        return model

    def models_of(self, request: Request) -> list[TextModel]:
        """The path's model alone, else all that whoever asks may use."""
        if SCOPE_KEY in request.scope:
            return [self.models[request.scope[SCOPE_KEY]]]
        return list(self._usable(request).values())

    def usable_names(self, request: Request) -> list[str]:
        """The names of all that whoever asks may use, whichever one the path names."""
        return list(self._usable(request))

    def no_such_model(self, request: Request, name: str | None) -> TiberError:
        """What to answer a client that named a model which is not here, or not for its token."""
        identity: Identity | None = request.scope.get(IDENTITY)
        if identity is not None and identity.models and name not in identity.models:
            return self.guard.forbid(identity)
        there = ", ".join(self._usable(request))
        return NotFoundError(f"no model named {name!r} is served here; there are: {there or 'none'}")

    def _usable(self, request: Request) -> Mapping[str, TextModel]:
        """The models that whoever asks may use: all, but for a token with a list of its own."""
        # What needs no token, such as /health, is of all models.
        identity: Identity | None = request.scope.get(IDENTITY)
        if identity is None or not identity.models:
            return self.models
        return {name: model for name, model in self.models.items() if name in identity.models}

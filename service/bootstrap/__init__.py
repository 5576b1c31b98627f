"""Builds every part from the settings: the only wiring."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from service.api.model_path import is_free
from service.api.openapi_endpoints import ENDPOINTS
from service.api.state import Service
from service.bootstrap.auth import build_door, build_token_store, record_event
from service.bootstrap.models import MODELS_FOLDER, build_model, discover_models, engine_config
from service.bootstrap.pictures import Pictures
from service.errors import ConfigError
from service.generation import TextModel
from service.settings import Settings
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracing

__all__ = [
    "MODELS_FOLDER",
    "build_service",
    "build_token_store",
    "discover_models",
    "engine_config",
    "record_event",
]


def build_service(settings: Settings, *, extra_token: str | None) -> Service:
    """Wire the service; nothing is started yet. `extra_token` is accepted beside the stored ones.

    Raises:
        ConfigError: two models of one name, or one of a name that is an endpoint's.
        ModelFolderError: a model's folder is not whole.
    """
    release = version("tiber-serve")
    metrics = Metrics(version=release)
    tracing = _build_tracing(settings, release)
    pictures = Pictures(settings.images)
    models: dict[str, TextModel] = {}
    for model_settings in settings.models or discover_models(MODELS_FOLDER):
        model = build_model(model_settings, metrics, tracing, pictures)
        if model.name in models:
            raise ConfigError(f"two models are named {model.name!r}: give one of them another `name`")
        if not is_free(model.name, (path for _, path in ENDPOINTS)):
            raise ConfigError(
                f"a model can't be named {model.name!r}: its paths would hide the service's own"
            )
        models[model.name] = model
    door = build_door(settings.auth, settings.limits, extra_token, metrics)
    return Service(
        models=models,
        guard=door.guard,
        max_body_bytes=settings.max_body_bytes,
        metrics=metrics,
        serves_metrics=settings.metrics,
        guards_metrics=settings.metrics_auth,
        tracing=tracing,
        limits=settings.limits,
        tls=settings.tls,
        cors_origins=settings.cors_origins,
        background=(*door.background, pictures.run),
        takes_remote_images=bool(settings.images.remote_hosts),
    )


def _build_tracing(settings: Settings, release: str) -> "Tracing | None":
    if settings.otel_endpoint is None:
        return None
    try:
        # Imported late: the extra it needs may not be installed.
        from service.telemetry.tracing import Tracing
    except ImportError as error:
        raise ConfigError(
            "otel_endpoint is set, but OpenTelemetry is not installed: pip install 'tiber-serve[otel]'"
        ) from error
    return Tracing(str(settings.otel_endpoint), version=release)

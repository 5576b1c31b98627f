"""The endpoints of operators: health, readiness, information."""

from collections.abc import Iterable
from importlib.metadata import version

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.fields import MAX_CHOICES, MAX_STOP_STRINGS
from service.api.responses import JSONResponse
from service.api.state import Service
from service.generation import TextModel
from service.manifest import ImageLimits

_NOT_NOW = {"retry-after": "5"}


class Status(msgspec.Struct, frozen=True):
    """The answer of /health and /ready; `models` says the state of each where not all is well."""

    status: str
    models: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class ImageInfo(msgspec.Struct, frozen=True):
    """What pictures a vision model takes: how many in a request, and how large."""

    max_images: int
    max_width: int
    max_height: int


class Info(msgspec.Struct, frozen=True):
    """The answer of /info: TGI's fields, then what is particular to this service.

    engine_settings: where the engine's properties are from, such as the day on which they were tuned.
    """

    model_id: str
    model_sha: str | None
    model_pipeline_tag: str
    model_dtype: str
    model_device_type: str
    max_concurrent_requests: int
    max_best_of: int
    max_stop_sequences: int
    max_input_tokens: int
    max_total_tokens: int
    validation_workers: int
    max_client_batch_size: int
    router: str
    version: str
    sha: str | None
    docker_label: str | None
    device: str
    weight_format: str
    engine: str
    engine_settings: str
    reproducible: bool
    models: list[str]
    prompt_lookup: int | None = None
    images: ImageInfo | None = None


def operations_router(service: Service) -> APIRouter:
    """The routes /health, /ping, /ready and /info."""
    router = APIRouter(tags=["operations"])

    @router.get("/health")
    @router.head("/health", include_in_schema=False)
    async def health(request: Request) -> Response:
        """Whether any model can answer; below a model's name, whether that one can."""
        return _health(_states(service.models_of(request)))

    @router.get("/ping")
    @router.head("/ping", include_in_schema=False)
    async def ping(request: Request) -> Response:
        """The same as /health, where SageMaker looks for it."""
        return _health(_states(service.models_of(request)))

    @router.get("/ready")
    @router.head("/ready", include_in_schema=False)
    async def ready(request: Request) -> Response:
        """Whether new work is welcome: every model is loaded, and the service is not draining."""
        states = _states(service.models_of(request))
        if not service.is_draining and set(states.values()) == {"ready"}:
            return JSONResponse(Status("ready"))
        return _not_now("draining" if service.is_draining else "not ready", states)

    @router.get("/info")
    async def info(request: Request) -> Response:
        """What is served, and its limits; below a model's name, of that one."""
        return JSONResponse(_info(service.model(request), service.usable_names(request)))

    return router


def _health(states: dict[str, str]) -> Response:
    return JSONResponse(Status("healthy")) if "ready" in states.values() else _not_now("unhealthy", states)


def _not_now(status: str, states: dict[str, str]) -> Response:
    return JSONResponse(Status(status, states), status_code=503, headers=_NOT_NOW)


def _states(models: Iterable[TextModel]) -> dict[str, str]:
    return {model.name: model.engine.status().state for model in models}


def _info(model: TextModel, names: list[str]) -> Info:
    manifest = model.manifest
    return Info(
        model_id=model.name,
        model_sha=manifest.source.revision or manifest.source.sha256,
        model_pipeline_tag=manifest.task,
        model_dtype=manifest.weight_format,
        model_device_type=model.device.lower(),
        max_concurrent_requests=model.admission.max_requests,
        max_best_of=MAX_CHOICES,
        max_stop_sequences=MAX_STOP_STRINGS,
        max_input_tokens=model.limits.max_input,
        max_total_tokens=model.limits.max_total,
        validation_workers=1,
        max_client_batch_size=1,
        router="tiber-serve",
        version=version("tiber-serve"),
        sha=None,
        docker_label=None,
        device=model.device,
        weight_format=manifest.weight_format,
        engine=model.engine_name,
        engine_settings=model.engine_origin,
        reproducible=model.is_reproducible,
        models=names,
        prompt_lookup=model.prompt_lookup,
        images=_image_info(model.image_limits),
    )


def _image_info(limits: ImageLimits | None) -> ImageInfo | None:
    if limits is None:
        return None
    return ImageInfo(limits.max_images, limits.max_width, limits.max_height)

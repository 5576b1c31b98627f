"""The endpoints of operators: health, readiness, information."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from service.api.responses import JSONResponse
from service.api.state import Service

_NOT_NOW = {"retry-after": "5"}


def operations_router(service: Service) -> APIRouter:
    """The routes /health, /ready and /info."""
    router = APIRouter(tags=["operations"])

    @router.get("/health")
    async def health() -> Response:
        """Whether any model can answer."""
        states = _states(service)
        if "ready" in states.values():
            return JSONResponse({"status": "healthy"})
        return JSONResponse({"status": "unhealthy", "models": states}, status_code=503, headers=_NOT_NOW)

    @router.get("/ready")
    async def ready() -> Response:
        """Whether new work is welcome: every model is loaded, and the service is not draining."""
        states = _states(service)
        if not service.is_draining and set(states.values()) == {"ready"}:
            return JSONResponse({"status": "ready"})
        status = "draining" if service.is_draining else "not ready"
        return JSONResponse({"status": status, "models": states}, status_code=503, headers=_NOT_NOW)

    @router.get("/info")
    async def info() -> Response:
        """TGI's fields, and what is particular to this service."""
        return JSONResponse(_info(service))

    return router


def _states(service: Service) -> dict[str, str]:
    return {name: model.engine.status().state for name, model in service.models.items()}


def _info(service: Service) -> dict[str, Any]:
    model = service.model()
    manifest = model.manifest
    return {
        "model_id": model.name,
        "model_sha": manifest.source.revision or manifest.source.sha256,
        "model_pipeline_tag": manifest.task,
        "model_dtype": manifest.weight_format,
        "model_device_type": model.device.lower(),
        "max_concurrent_requests": model.admission.max_requests,
        "max_best_of": 1,
        "max_stop_sequences": 16,
        "max_input_tokens": model.limits.max_input,
        "max_total_tokens": model.limits.max_total,
        "validation_workers": 1,
        "max_client_batch_size": 1,
        "router": "tiber-serve",
        "version": version("tiber-serve"),
        "device": model.device,
        "weight_format": manifest.weight_format,
        "engine": model.engine_name,
        "models": list(service.models),
    }

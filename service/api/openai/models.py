"""The routes /v1/models and /v1/models/{model}."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.openai.answers import Model, ModelList
from service.api.responses import JSONResponse
from service.api.state import Service
from service.generation import TextModel


def models_router(service: Service) -> APIRouter:
    """The routes that name the served models."""
    router = APIRouter(tags=["openai"])

    @router.get("/v1/models")
    async def list_models(request: Request) -> Response:
        """The served models, the default one first."""
        return JSONResponse(ModelList(data=[_model(model) for model in service.models_of(request)]))

    @router.get("/v1/models/{model:path}")
    async def retrieve_model(model: str, request: Request) -> Response:
        """One of the served models."""
        return JSONResponse(_model(service.named_model(request, model)))

    return router


def _model(model: TextModel) -> Model:
    return Model(
        id=model.name,
        created=int(model.manifest.created_at.timestamp()),
        task=model.manifest.task,
        max_input_tokens=model.limits.max_input,
        max_total_tokens=model.limits.max_total,
    )

"""SageMaker's one endpoint for everything."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Discriminator, Tag
from starlette.responses import Response

from service.api.generate import generate_compatibly
from service.api.openai.bodies import ChatBody, CompletionBody
from service.api.openai.chat import chat
from service.api.openai.completions import complete
from service.api.state import Service
from service.api.wire import GenerateBody


def _endpoint_of(body: Any) -> str:  # noqa: ANN401 - a body before anything is known of it
    if isinstance(body, dict) and "messages" in body:
        return "/v1/chat/completions"
    return "/v1/completions" if isinstance(body, dict) and "prompt" in body else "/"


Invocation = Annotated[
    Annotated[ChatBody, Tag("/v1/chat/completions")]
    | Annotated[CompletionBody, Tag("/v1/completions")]
    | Annotated[GenerateBody, Tag("/")],
    Discriminator(_endpoint_of),
]


def invocations_router(service: Service) -> APIRouter:
    """The route /invocations."""
    router = APIRouter(tags=["generation"])

    @router.post("/invocations")
    async def invocations(body: Invocation, request: Request) -> Response:
        """What `POST /`, or OpenAI's endpoints, make of a body with `inputs`, `messages` or `prompt`."""
        if isinstance(body, ChatBody):
            return await chat(service, body, request)
        if isinstance(body, CompletionBody):
            return await complete(service, body, request)
        return await generate_compatibly(service, body, request)

    return router

"""TGI's generation endpoints."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.event_stream import EventStreamResponse
from service.api.mapping import best_of, to_raw, warnings_of
from service.api.rendering import GenerateStream, finish_headers, to_answer
from service.api.responses import JSONResponse
from service.api.state import Service
from service.api.wire import GenerateBody
from service.choices import alternatives, generate_answers
from service.generation import TextModel
from service.prompt.images.parts import has_image


def generate_router(service: Service) -> APIRouter:
    """The routes /generate, /generate_stream and /."""
    router = APIRouter(tags=["generation"])

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Generate text; with `stream` as server-sent events."""
        model = _model(service, body, request)
        if body.stream:
            return _stream(model, body)
        return await _answer(model, body, request, as_list=False)

    @router.post("/generate_stream")
    async def generate_stream(body: GenerateBody, request: Request) -> Response:
        """Generate text as server-sent events."""
        return _stream(_model(service, body, request), body)

    @router.post("/")
    async def compatible_generate(body: GenerateBody, request: Request) -> Response:
        """What Hugging Face's InferenceClient posts to: a list of one answer, or events."""
        return await generate_compatibly(service, body, request)

    return router


async def generate_compatibly(service: Service, body: GenerateBody, request: Request) -> Response:
    """A list of one answer, or events."""
    model = _model(service, body, request)
    if body.stream:
        return _stream(model, body)
    return await _answer(model, body, request, as_list=True)


def _model(service: Service, body: GenerateBody, request: Request) -> TextModel:
    has_images = has_image(body.inputs, remote=service.takes_remote_images)
    return service.model(request, body.model, has_images=has_images)


async def _answer(model: TextModel, body: GenerateBody, request: Request, *, as_list: bool) -> Response:
    raws = alternatives(to_raw(body, is_stream=False), best_of(body))
    answers = await run_while_connected(request.receive, generate_answers(model, raws))
    content = to_answer(answers, body)
    headers = finish_headers(answers, model.device) | warnings_of(body)
    return JSONResponse([content] if as_list else content, headers=headers)


def _stream(model: TextModel, body: GenerateBody) -> Response:
    raws = [to_raw(body, is_stream=True)]
    return EventStreamResponse(model, raws, GenerateStream(body), warnings_of(body))

"""TGI's generation endpoints."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.mapping import best_of, to_raw, warnings_of
from service.api.rendering import finish_headers, start_headers, to_answer, to_frames
from service.api.responses import EventStreamResponse, JSONResponse, error_frame
from service.api.state import Service
from service.api.wire import GenerateBody
from service.choices import alternatives, generate_answers
from service.domain import Finish, GenerationEvent, Start
from service.errors import TiberError
from service.generation import IndexedEvents, TextModel
from service.prompt.images.parts import has_image

Batch = Sequence[GenerationEvent]


def generate_router(service: Service) -> APIRouter:
    """The routes /generate, /generate_stream and /."""
    router = APIRouter(tags=["generation"])

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Generate text; with `stream` as server-sent events."""
        model = _model(service, body, request)
        if body.stream:
            return await _stream(model, body, request)
        return await _answer(model, body, request, as_list=False)

    @router.post("/generate_stream")
    async def generate_stream(body: GenerateBody, request: Request) -> Response:
        """Generate text as server-sent events."""
        return await _stream(_model(service, body, request), body, request)

    @router.post("/")
    async def compatible_generate(body: GenerateBody, request: Request) -> Response:
        """What Hugging Face's InferenceClient posts to: a list of one answer, or events."""
        return await generate_compatibly(service, body, request)

    return router


async def generate_compatibly(service: Service, body: GenerateBody, request: Request) -> Response:
    """A list of one answer, or events."""
    model = _model(service, body, request)
    if body.stream:
        return await _stream(model, body, request)
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


async def _stream(model: TextModel, body: GenerateBody, request: Request) -> Response:
    batches = model.stream([to_raw(body, is_stream=True)])
    # Errors before the first token still get their own status.
    _, first = await run_while_connected(request.receive, anext(batches))
    start = first[0]
    assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `stream` promises
    headers = start_headers(start, model.device) | warnings_of(body)
    # The deadline's own event gets a second to leave.
    frames = _frames(first, batches, body, request.url.path)
    return EventStreamResponse(frames, batches, headers, limit_s=model.timeout_s + 1)


async def _frames(
    first: Batch, batches: IndexedEvents, body: GenerateBody, path: str
) -> AsyncGenerator[bytes, None]:
    parameters = body.parameters
    prefix = body.inputs if parameters and parameters.return_full_text else ""
    has_top_tokens = bool(parameters and parameters.top_n_tokens)
    index = 1
    async with aclosing(batches):
        batch = first
        while True:
            frames = to_frames(batch, index, prefix, has_top_tokens=has_top_tokens)
            index += len(frames)
            yield b"".join(frames)
            if isinstance(batch[-1], Finish):
                return
            try:
                _, batch = await anext(batches)
            except TiberError as error:
                yield error_frame(error, path)
                return

"""TGI's generation endpoints."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.mapping import (
    finish_headers,
    start_headers,
    to_answer_body,
    to_frames,
    to_raw,
    warnings_of,
)
from service.api.responses import EventStreamResponse, JSONResponse, error_frame
from service.api.state import Service
from service.api.wire import GenerateBody, StreamableBody
from service.domain import Finish, GenerationEvent, Start
from service.errors import TiberError
from service.generation import GenerationEvents, TextModel

Batch = Sequence[GenerationEvent]


def generate_router(service: Service) -> APIRouter:
    """The routes /generate, /generate_stream and /."""
    router = APIRouter(tags=["generation"])

    @router.post("/generate")
    async def generate(body: StreamableBody, request: Request) -> Response:
        """Generate text; with `stream` as server-sent events."""
        model = service.model()
        if body.stream:
            return await _stream(model, body, request)
        return await _answer(model, body, request, as_list=False)

    @router.post("/generate_stream")
    async def generate_stream(body: GenerateBody, request: Request) -> Response:
        """Generate text as server-sent events."""
        return await _stream(service.model(), body, request)

    @router.post("/")
    async def compatible_generate(body: StreamableBody, request: Request) -> Response:
        """What Hugging Face's InferenceClient posts to: a list of one answer, or events."""
        model = service.model()
        if body.stream:
            return await _stream(model, body, request)
        return await _answer(model, body, request, as_list=True)

    return router


async def _answer(model: TextModel, body: GenerateBody, request: Request, *, as_list: bool) -> Response:
    answer = await run_while_connected(request, model.generate(to_raw(body)))
    content = to_answer_body(answer, body)
    headers = finish_headers(answer.finish, model.device) | warnings_of(body)
    return JSONResponse([content] if as_list else content, headers=headers)


async def _stream(model: TextModel, body: GenerateBody, request: Request) -> Response:
    batches = model.stream(to_raw(body))
    # Errors before the first token still get their own status.
    first = await run_while_connected(request, anext(batches))
    start = first[0]
    assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `stream` promises
    prefix = body.inputs if body.parameters and body.parameters.return_full_text else ""
    headers = start_headers(start, model.device) | warnings_of(body)
    # The deadline's own event gets a second to leave.
    return EventStreamResponse(_frames(first, batches, prefix), headers, limit_s=model.timeout_s + 1)


async def _frames(first: Batch, batches: GenerationEvents, prefix: str) -> AsyncGenerator[bytes, None]:
    index = 1
    async with aclosing(batches):
        batch: Batch | None = first
        while batch is not None:
            frames = to_frames(batch, index, prefix)
            index += len(frames)
            yield b"".join(frames)
            if isinstance(batch[-1], Finish):
                return
            try:
                batch = await anext(batches, None)
            except TiberError as error:
                yield error_frame(error)
                return

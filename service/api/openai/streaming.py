"""Sends the events of several choices as one of OpenAI's streams."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from fastapi import Request
from starlette.responses import Response

from service.api.disconnect import run_while_connected
from service.api.rendering import start_headers
from service.api.responses import EventStreamResponse, error_frame
from service.domain import GenerationEvent, RawRequest, Start
from service.errors import TiberError
from service.generation import IndexedBatch, IndexedEvents, TextModel

_DONE = b"data: [DONE]\n\n"


class Stream(Protocol):
    """Makes frames of events."""

    def add(self, index: int, events: Sequence[GenerationEvent]) -> bytes:
        """The frames of the next events of the choice `index`."""

    def end(self) -> bytes:
        """The frames after the last choice's end."""


async def stream_response(
    model: TextModel, raws: Sequence[RawRequest], stream: Stream, request: Request
) -> Response:
    """Answer with a stream; errors before the first token still get their own status."""
    batches = model.stream(raws)
    first = await run_while_connected(request.receive, anext(batches))
    start = first[1][0]
    assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `stream` promises
    return EventStreamResponse(
        _frames(first, batches, stream, request.url.path),
        batches,
        start_headers(start, model.device),
        # The deadline's own event gets a second to leave.
        limit_s=model.timeout_s + 1,
    )


async def _frames(
    first: IndexedBatch, batches: IndexedEvents, stream: Stream, path: str
) -> AsyncGenerator[bytes, None]:
    async with aclosing(batches):
        batch: IndexedBatch | None = first
        while batch is not None:
            frames = stream.add(*batch)
            if frames:
                yield frames
            try:
                batch = await anext(batches, None)
            except TiberError as error:
                yield error_frame(error, path)
                return
        yield stream.end() + _DONE

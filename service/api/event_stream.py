"""Answers with server-sent events."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.api.body_writer import Write, body_writer
from service.api.disconnect import ClientGoneError, run_while_connected
from service.api.rendering import start_headers
from service.api.responses import error_frame
from service.domain import GenerationEvent, RawRequest, Start
from service.errors import TiberError
from service.generation import TextModel

_log = structlog.get_logger("http")

# The deadline's own event gets a second to leave.
_LAST_EVENT_S = 1.0


class Frames(Protocol):
    """Makes the frames of one answer."""

    def add(self, index: int, events: Sequence[GenerationEvent]) -> bytes:
        """The frames of the next events of the choice `index`."""

    def end(self) -> bytes:
        """The frames after the last choice's end."""


class EventStreamResponse(Response):
    """Generates, and sends frames of what is generated; ended at once when the client leaves.

    Errors before the first token are raised, to be answered with their own status; one after it is the last
    frame. A client that has not read it all some seconds after the model's deadline is cut off: it would keep
    its place for ever.
    """

    def __init__(
        self, model: TextModel, raws: Sequence[RawRequest], frames: Frames, headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers={**headers, "x-accel-buffering": "no", "cache-control": "no-cache"})
        del self.headers["content-length"]
        self.headers["content-type"] = "text/event-stream; charset=utf-8"
        self._model = model
        self._raws = raws
        self._frames = frames
        self._has_head = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Generate and send."""
        try:
            await run_while_connected(receive, self._answer(scope, send))
        except ClientGoneError:
            if not self._has_head:
                raise

    async def _answer(self, scope: Scope, send: Send) -> None:
        outlet = _Outlet(self._frames)

        async def send_end() -> None:
            await outlet.is_open.wait()
            await send(_last(self._frames.end()))

        generating = asyncio.create_task(self._model.generate(self._raws, outlet.deliver, send_end))
        try:
            await asyncio.wait((generating, outlet.start), return_when=asyncio.FIRST_COMPLETED)
            if not outlet.start.done():
                # It ended before it began.
                generating.result()
            await self._send_head(outlet.start.result(), send)
            outlet.open(body_writer(scope))
            await self._see_to_end(generating, scope["path"], send)
        finally:
            generating.cancel()
            await asyncio.gather(generating, return_exceptions=True)

    async def _send_head(self, start: Start, send: Send) -> None:
        self.headers.update(start_headers(start, self._model.device))
        self._has_head = True
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(head)

    async def _see_to_end(self, generating: asyncio.Task[None], path: str, send: Send) -> None:
        limit_s = self._model.timeout_s + _LAST_EVENT_S
        try:
            async with asyncio.timeout(limit_s):
                try:
                    await generating
                except TiberError as error:
                    await send(_last(error_frame(error, path)))
        except TimeoutError:
            # The answer stays unfinished, for which the server closes the connection.
            _log.warning("slow_reader_cut_off", limit_s=limit_s)


def _last(frames: bytes) -> Message:
    return {"type": "http.response.body", "body": frames, "more_body": False}


class _Outlet:
    """Keeps frames until the head of the answer is sent; from then on they go to the client as they come."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._kept: list[bytes] = []
        self._write: Write = self._kept.append
        self.is_open = asyncio.Event()
        self.start: asyncio.Future[Start] = asyncio.get_running_loop().create_future()

    def deliver(self, index: int, events: Sequence[GenerationEvent]) -> None:
        """Make frames of events."""
        if not self.start.done():
            start = events[0]
            assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `generate` promises
            self.start.set_result(start)
        frames = self._frames.add(index, events)
        if frames:
            self._write(frames)

    def open(self, write: Write) -> None:
        """Let what was kept out, and all that comes."""
        write(b"".join(self._kept))
        self._write = write
        self.is_open.set()

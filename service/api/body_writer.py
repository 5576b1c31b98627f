"""Writes pieces of an answer straight into its connection: an extension of the ASGI scope."""

from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_NAME = "tiber_serve.body"

Write = Callable[[bytes], None]


def body_extension(cycle: RequestResponseCycle) -> dict[str, dict[object, object]]:
    """What the scope of this request has as its `extensions`."""
    return {_NAME: {"write": partial(_write, cycle)}}


def body_writer(scope: Any) -> Write:  # noqa: ANN401 - as the framework has it
    """What writes a piece of a body of unknown length at once, when the head of the answer is sent."""
    write: Write = scope["extensions"][_NAME]["write"]
    return write


def _write(cycle: RequestResponseCycle, piece: bytes) -> None:
    """Write a chunk, however much waits to be read: the whole of an answer is short."""
    # An empty chunk would end the answer.
    if piece and not cycle.disconnected and not cycle.transport.is_closing():
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

"""The messages between the service and an engine process: msgpack, and pixels as frames of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from service.domain import GenerationRequest, Image
from service.engine.config import EngineConfig
from service.engine.protocol import EngineEvent


class Load(msgspec.Struct, frozen=True, tag=True):
    """First message to the child: load this model."""

    config: EngineConfig


class Add(msgspec.Struct, frozen=True, tag=True):
    """Take up a request."""

    request_id: int
    request: GenerationRequest


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Forget a request."""

    request_id: int


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Close the model; end the process."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """First message from the child: the model is loaded."""


class Step(msgspec.Struct, frozen=True, tag=True):
    """All that one step brought, and how things are after it.

    running: unfinished requests. cache_ratio: the part of the KV cache they hold; None when unknown.
    """

    events: list[EngineEvent]
    running: int
    cache_ratio: float | None = None


class Fatal(msgspec.Struct, frozen=True, tag=True):
    """Last message from a child that can't go on; `is_refusal` when the next one could not either."""

    message: str
    is_refusal: bool = False


ToEngine = Load | Add | Cancel | Stop
FromEngine = Ready | Step | Fatal

encode = msgspec.msgpack.Encoder().encode
_to_engine: msgspec.msgpack.Decoder[ToEngine] = msgspec.msgpack.Decoder(ToEngine)
_from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)


def to_frames(message: ToEngine) -> list[bytes]:
    """Encode a message for the engine: msgpack first, then each image's pixels, which are not copied."""
    images = _images(message)
    if not isinstance(message, Add) or not images:
        return [encode(message)]
    emptied = _with_images(message, [replace(image, pixels=b"") for image in images])
    return [encode(emptied), *(image.pixels for image in images)]


def from_frames(frames: Iterator[bytes]) -> ToEngine:
    """Decode the next message that the service sent; no frame behind it is read."""
    message = _to_engine.decode(next(frames))
    images = _images(message)
    if not isinstance(message, Add) or not images:
        return message
    return _with_images(message, [replace(image, pixels=next(frames)) for image in images])


def decode_from_engine(payload: bytes) -> FromEngine:
    """Decode a message that an engine process sent."""
    return _from_engine.decode(payload)


def _images(message: ToEngine) -> tuple[Image, ...]:
    pictures = message.request.pictures if isinstance(message, Add) else None
    return pictures.images if pictures else ()


def _with_images(message: Add, images: Sequence[Image]) -> Add:
    pictures = message.request.pictures
    assert pictures is not None  # noqa: S101 - narrows: a message without has no images
    request = replace(message.request, pictures=replace(pictures, images=tuple(images)))
    return Add(message.request_id, request)

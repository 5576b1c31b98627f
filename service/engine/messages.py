"""The messages between the service and an engine process, as msgpack."""

import msgspec

from service.domain import GenerationRequest
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
    """Last message from a child that can't go on."""

    message: str


ToEngine = Load | Add | Cancel | Stop
FromEngine = Ready | Step | Fatal

encode = msgspec.msgpack.Encoder().encode
_to_engine: msgspec.msgpack.Decoder[ToEngine] = msgspec.msgpack.Decoder(ToEngine)
_from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)


def decode_to_engine(payload: bytes) -> ToEngine:
    """Decode a message that the service sent."""
    return _to_engine.decode(payload)


def decode_from_engine(payload: bytes) -> FromEngine:
    """Decode a message that an engine process sent."""
    return _from_engine.decode(payload)

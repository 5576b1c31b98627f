"""What requests and streams look like in the APIs that are measured; pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.traffic.workloads import Ask
from service.errors import ConfigError

_DATA = b"data:"
_DONE = b"[DONE]"


class MalformedStreamError(ValueError):
    """A stream is not what its API promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamContent:
    """What a stream brought; the numbers of tokens are the server's own.

    `carriers` are the places of the events that carry something generated. `error` is what an error
    event says. `has_ended` tells a stream that came to its own end from one that merely stopped.
    """

    carriers: list[int]
    prompt_tokens: int | None
    output_tokens: int | None
    has_ended: bool
    error: str | None = None


class Dialect(Protocol):
    """One API: where to send a request, how to write it, how to read its stream."""

    @property
    def path(self) -> str:
        """The path that requests are posted to."""
        ...

    @property
    def ignore_eos(self) -> bool:
        """Whether answers must have exactly the tokens that were asked for."""
        ...

    def body(self, ask: Ask) -> bytes:
        """The body of a greedy, streaming request."""
        ...

    def read(self, events: Sequence[bytes]) -> StreamContent:
        """Read a whole stream. Raises: MalformedStreamError when it can't be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tgi:
    """Text Generation Inference's `/generate_stream`; `extra` is added to the parameters."""

    model: str | None = None
    ignore_eos: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/generate_stream"

    def body(self, ask: Ask) -> bytes:
        """As Dialect has it."""
        image = f"<image>{ask.picture}</image>\n" if ask.picture else ""
        parameters: dict[str, Any] = {"max_new_tokens": ask.output_tokens, "do_sample": False}
        if self.ignore_eos:
            parameters["ignore_eos"] = True
        body: dict[str, Any] = {"inputs": image + ask.text, "parameters": parameters | dict(self.extra)}
        return _encode(body if self.model is None else body | {"model": self.model})

    def read(self, events: Sequence[bytes]) -> StreamContent:
        """As Dialect has it."""
        found = [(place, _parse(data)) for place, data in _data(events)]
        details = next((event["details"] for _, event in reversed(found) if event.get("details")), None)
        counts = details if isinstance(details, dict) else {}
        return StreamContent(
            carriers=[place for place, event in found if event.get("token")],
            prompt_tokens=_count(counts, "input_length"),
            output_tokens=_count(counts, "generated_tokens"),
            has_ended=any(isinstance(event.get("generated_text"), str) for _, event in found),
            error=_error(found),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAi:
    """OpenAI's `/v1/completions`, or with `is_chat` `/v1/chat/completions`; `extra` is added to the body."""

    model: str
    is_chat: bool
    ignore_eos: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """As Dialect has it."""
        return "/v1/chat/completions" if self.is_chat else "/v1/completions"

    def body(self, ask: Ask) -> bytes:
        """As Dialect has it. Raises: ConfigError for a picture, which completions can't carry."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": ask.output_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.ignore_eos:
            body["ignore_eos"] = True
        return _encode(body | self._prompt(ask) | dict(self.extra))

    def read(self, events: Sequence[bytes]) -> StreamContent:
        """As Dialect has it."""
        data = list(_data(events))
        found = [(place, _parse(one)) for place, one in data if one != _DONE]
        usage = next((event["usage"] for _, event in reversed(found) if event.get("usage")), None)
        counts = usage if isinstance(usage, dict) else {}
        return StreamContent(
            carriers=[place for place, event in found if _carries(event)],
            prompt_tokens=_count(counts, "prompt_tokens"),
            output_tokens=_count(counts, "completion_tokens"),
            has_ended=bool(data) and data[-1][1] == _DONE,
            error=_error(found),
        )

    def _prompt(self, ask: Ask) -> dict[str, Any]:
        if not self.is_chat:
            if ask.picture:
                raise ConfigError("/v1/completions takes no pictures: use --target openai-chat or tgi")
            return {"prompt": ask.text}
        if ask.picture is None:
            return {"messages": [{"role": "user", "content": ask.text}]}
        image = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{ask.picture}"}}
        return {"messages": [{"role": "user", "content": [image, {"type": "text", "text": ask.text}]}]}


def _carries(event: Mapping[str, Any]) -> bool:
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        if choice.get("text") or any(value for key, value in delta.items() if key != "role"):
            return True
    return False


def _data(events: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The data of those events that have some; comments that keep a connection alive have none."""
    lines = ((place, event.strip()) for place, event in enumerate(events))
    return [(place, one.removeprefix(_DATA).strip()) for place, one in lines if one.startswith(_DATA)]


def _parse(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError as error:
        raise MalformedStreamError(f"an event is no JSON: {data[:80]!r}") from error
    if not isinstance(event, dict):
        raise MalformedStreamError(f"an event is no object: {data[:80]!r}")
    return event


def _error(found: Sequence[tuple[int, Mapping[str, Any]]]) -> str | None:
    return next((json.dumps(event["error"])[:200] for _, event in found if event.get("error")), None)


def _count(counts: Mapping[str, Any], name: str) -> int | None:
    value = counts.get(name)
    return value if isinstance(value, int) else None


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()

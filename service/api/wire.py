"""What TGI's endpoints take and give, exactly as it looks on the wire."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

# Far below this a float32 is 0, which the engine refuses.
_LEAST_POSITIVE = 1e-6
_MAX_STOP_STRINGS = 16
_MAX_STOP_CHARACTERS = 1_024
_MAX_SEED = 2**63 - 1
_MAX_COUNT = 2**31 - 1

Positive = Annotated[int, Field(gt=0, le=_MAX_COUNT)]
StopString = Annotated[str, Field(min_length=1, max_length=_MAX_STOP_CHARACTERS)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Parameters(_Wire):
    """TGI's parameters, and two of vLLM's for benchmarks: min_new_tokens and ignore_eos."""

    max_new_tokens: Positive | None = None
    min_new_tokens: Annotated[int, Field(ge=0, le=_MAX_COUNT)] | None = None
    ignore_eos: bool | None = None
    do_sample: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(ge=_LEAST_POSITIVE, le=1)] | None = None
    top_k: Positive | None = None
    repetition_penalty: Annotated[float, Field(ge=_LEAST_POSITIVE, le=1e6)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stop: Annotated[list[StopString], Field(max_length=_MAX_STOP_STRINGS)] | None = None
    seed: Annotated[int, Field(ge=0, le=_MAX_SEED)] | None = None
    return_full_text: bool | None = None
    truncate: Positive | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    best_of: Positive | None = None
    top_n_tokens: Annotated[int, Field(ge=0, le=_MAX_COUNT)] | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    watermark: bool | None = None
    grammar: dict[str, Any] | None = None
    adapter_id: str | None = None


class GenerateBody(_Wire):
    """The body of /generate_stream."""

    inputs: str
    parameters: Parameters | None = None


class StreamableBody(GenerateBody):
    """The body of /generate and /."""

    stream: bool | None = None


class TokenPart(msgspec.Struct, frozen=True):
    """One token of an answer; `logprob` is null unless `details` was asked for."""

    id: int
    text: str
    logprob: float | None
    special: bool


class StreamDetails(msgspec.Struct, frozen=True):
    """The details of a stream's last event."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    seed: int | None
    input_length: int


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of a stream; the last one carries the text and the details."""

    index: int
    token: TokenPart
    generated_text: str | None = None
    details: StreamDetails | None = None


encode_event = msgspec.json.Encoder().encode

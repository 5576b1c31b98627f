"""What TGI's endpoints take and give, exactly as it looks on the wire."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, model_validator

from service.api.fields import (
    LEAST_POSITIVE,
    MAX_CHOICES,
    MAX_SEED,
    Count,
    Name,
    Penalty,
    Positive,
    RepetitionPenalty,
    StopStrings,
    Temperature,
    Text,
    TokenId,
    Wire,
)
from service.domain import FinishReason, Grammar

MAX_TOKENS = 131_072


class WireGrammar(Wire):
    """TGI's grammar: a JSON schema (`json` or `json_schema`, as an object or as its text), or a `regex`."""

    type: Literal["json", "json_schema", "regex"]
    value: Text | dict[str, Any]

    @model_validator(mode="after")
    def _is_of_its_type(self) -> "WireGrammar":
        if self.type == "regex" and not isinstance(self.value, str):
            raise ValueError("a regex must be a string")
        try:
            self.to_domain()
        except (UnicodeEncodeError, RecursionError) as error:
            raise ValueError("a grammar must be valid JSON of reasonable depth") from error
        return self

    def to_domain(self) -> Grammar:
        """The domain's form."""
        if self.type == "regex":
            return Grammar(kind="regex", value=str(self.value))
        if isinstance(self.value, str):
            return Grammar(kind="json_schema", value=self.value)
        schema = self.value.get("schema", self.value) if self.type == "json_schema" else self.value
        return Grammar(kind="json_schema", value=msgspec.json.encode(schema).decode())


class Parameters(Wire):
    """TGI's parameters, and two of vLLM's for benchmarks: min_new_tokens and ignore_eos."""

    max_new_tokens: Positive | None = None
    min_new_tokens: Count | None = None
    ignore_eos: bool | None = None
    do_sample: bool | None = None
    temperature: Temperature | None = None
    top_p: Annotated[float, Field(ge=LEAST_POSITIVE, le=1)] | None = None
    top_k: Positive | None = None
    repetition_penalty: RepetitionPenalty | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    stop: StopStrings | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    return_full_text: bool | None = None
    truncate: Positive | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    best_of: Annotated[int, Field(gt=0, le=MAX_CHOICES)] | None = None
    top_n_tokens: Count | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    watermark: bool | None = None
    grammar: WireGrammar | None = None
    adapter_id: Name | None = None


class GenerateBody(Wire):
    """The body of the generating endpoints; `stream` counts for nothing where the path decides it."""

    inputs: Text
    parameters: Parameters | None = None
    stream: bool | None = None
    model: Name | None = None


class TokenizeBody(Wire):
    """The body of /tokenize; `parameters` and `stream` count for nothing, TGI's clients send them along."""

    inputs: Text
    parameters: Parameters | None = None
    stream: bool | None = None
    model: Name | None = None


class WireToken(Wire):
    """One token as /tokenize gives it."""

    id: TokenId
    text: Text | None = None
    start: int | None = None
    stop: int | None = None


class DetokenizeBody(Wire):
    """The body of /detokenize: token ids, or what /tokenize answered."""

    tokens: Annotated[list[TokenId | WireToken], Field(max_length=MAX_TOKENS, fail_fast=True)]
    model: Name | None = None


class TokenPart(msgspec.Struct, frozen=True):
    """One token of an answer; `logprob` is null unless `details` was asked for."""

    id: int
    text: str
    logprob: float | None
    special: bool


class PrefillToken(msgspec.Struct, frozen=True):
    """One token of the prompt; the first has no `logprob`, nor have those taken from the prefix cache."""

    id: int
    text: str
    logprob: float | None


class BestOfSequence(msgspec.Struct, frozen=True):
    """One of the answers of `best_of` that were not the best."""

    generated_text: str
    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    prefill: list[PrefillToken]
    tokens: list[TokenPart]


class Details(msgspec.Struct):
    """How an answer came about; the arrays are there when `details` was asked for."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    prefill: list[PrefillToken] | msgspec.UnsetType = msgspec.UNSET
    tokens: list[TokenPart] | msgspec.UnsetType = msgspec.UNSET
    top_tokens: list[list[TokenPart]] | msgspec.UnsetType = msgspec.UNSET
    best_of_sequences: list[BestOfSequence] | msgspec.UnsetType = msgspec.UNSET


class GeneratedText(msgspec.Struct, frozen=True):
    """The answer of /generate."""

    generated_text: str
    details: Details


class StreamDetails(msgspec.Struct, frozen=True):
    """The details of a stream's last event."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    input_length: int


class StreamEvent(msgspec.Struct):
    """One event of a stream; the last one carries the text and the details."""

    index: int
    token: TokenPart
    generated_text: str | None = None
    details: StreamDetails | None = None
    top_tokens: list[TokenPart] | msgspec.UnsetType = msgspec.UNSET


class SimpleToken(msgspec.Struct, frozen=True):
    """One token of a text, and the characters `start` to `stop` that it stands for."""

    id: int
    text: str
    start: int
    stop: int


class DetokenizedText(msgspec.Struct, frozen=True):
    """The answer of /detokenize."""

    text: str


encode_event = msgspec.json.Encoder().encode

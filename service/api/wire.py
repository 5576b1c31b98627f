"""What TGI's endpoints take and give, exactly as it looks on the wire."""

from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from service.domain import FinishReason, Grammar

# Far below this a float32 is 0, which the engine refuses.
_LEAST_POSITIVE = 1e-6
MAX_STOP_STRINGS = 16
_MAX_STOP_CHARACTERS = 1_024
_MAX_GRAMMAR_CHARACTERS = 65_536
_MAX_SEED = 2**63 - 1
_MAX_COUNT = 2**31 - 1
_MAX_TOKENS = 131_072
MAX_CHOICES = 16


def _is_unicode(text: str) -> str:
    """JSON can spell half a surrogate pair, which is no character and can't be encoded."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("holds half a surrogate pair, which is no character") from error
    return text


Text = Annotated[str, AfterValidator(_is_unicode)]
Positive = Annotated[int, Field(gt=0, le=_MAX_COUNT)]
TokenId = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
StopString = Annotated[Text, Field(min_length=1, max_length=_MAX_STOP_CHARACTERS)]


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class WireGrammar(_Wire):
    """TGI's grammar: a JSON schema (`json` or `json_schema`, as an object or as its text), or a `regex`."""

    type: Literal["json", "json_schema", "regex"]
    value: Text | dict[str, Any]

    @model_validator(mode="after")
    def _is_of_its_type(self) -> "WireGrammar":
        if self.type == "regex" and not isinstance(self.value, str):
            raise ValueError("a regex must be a string")
        try:
            length = len(self.to_domain().value)
        except (UnicodeEncodeError, RecursionError) as error:
            raise ValueError("a grammar must be valid JSON of reasonable depth") from error
        if length > _MAX_GRAMMAR_CHARACTERS:
            raise ValueError(f"a grammar must have at most {_MAX_GRAMMAR_CHARACTERS} characters")
        return self

    def to_domain(self) -> Grammar:
        """The domain's form."""
        if self.type == "regex":
            return Grammar(kind="regex", value=str(self.value))
        if isinstance(self.value, str):
            return Grammar(kind="json_schema", value=self.value)
        schema = self.value.get("schema", self.value) if self.type == "json_schema" else self.value
        return Grammar(kind="json_schema", value=msgspec.json.encode(schema).decode())


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
    stop: Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS)] | None = None
    seed: Annotated[int, Field(ge=0, le=_MAX_SEED)] | None = None
    return_full_text: bool | None = None
    truncate: Positive | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    best_of: Annotated[int, Field(gt=0, le=MAX_CHOICES)] | None = None
    top_n_tokens: Annotated[int, Field(ge=0, le=_MAX_COUNT)] | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    watermark: bool | None = None
    grammar: WireGrammar | None = None
    adapter_id: str | None = None


class GenerateBody(_Wire):
    """The body of the generating endpoints; `stream` counts for nothing where the path decides it."""

    inputs: Text
    parameters: Parameters | None = None
    stream: bool | None = None
    model: Text | None = None


class TokenizeBody(_Wire):
    """The body of /tokenize; `parameters` and `stream` count for nothing, TGI's clients send them along."""

    inputs: Text
    parameters: Parameters | None = None
    stream: bool | None = None
    model: Text | None = None


class WireToken(_Wire):
    """One token as /tokenize gives it."""

    id: TokenId
    text: Text | None = None
    start: int | None = None
    stop: int | None = None


class DetokenizeBody(_Wire):
    """The body of /detokenize: token ids, or what /tokenize answered."""

    tokens: Annotated[list[TokenId | WireToken], Field(max_length=_MAX_TOKENS)]
    model: Text | None = None


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

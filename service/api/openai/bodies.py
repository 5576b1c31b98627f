"""What /v1/chat/completions and /v1/completions take."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from service.api.fields import (
    MAX_CHOICES,
    MAX_COUNT,
    MAX_SEED,
    Count,
    Name,
    Penalty,
    Positive,
    RepetitionPenalty,
    StopString,
    StopStrings,
    Temperature,
    Text,
    TokenId,
    Wire,
)
from service.api.openai.messages import Messages, ToolChoice, Tools
from service.api.wire import MAX_TOKENS

# LangChain's OpenAI class sends 20 prompts at once.
MAX_PROMPTS = 64

Choices = Annotated[int, Field(gt=0, le=MAX_CHOICES)]
TokenIds = Annotated[list[TokenId], Field(max_length=MAX_TOKENS, fail_fast=True)]
Prompts = Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
TokenIdPrompts = Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)]
Metadata = Annotated[
    dict[Annotated[Text, Field(max_length=64)], Annotated[Text, Field(max_length=512)]], Field(max_length=16)
]


class StreamOptions(Wire):
    """What a stream tells beside the text; `continuous_usage_stats` is vLLM's."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: Literal[False] | None = None


class JsonSchema(Wire):
    """The schema that an answer must follow; it always does, so `strict` changes nothing."""

    name: Name
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: Text | None = None
    strict: bool | None = None


class ResponseFormat(Wire):
    """The form that an answer must have: OpenAI's, or TGI's with the schema or the regex as `value`."""

    type: Literal["text", "json_object", "json_schema", "json", "regex"]
    json_schema: JsonSchema | None = None
    value: Text | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> "ResponseFormat":
        has_schema, has_value = self.json_schema is not None, self.value is not None
        if has_schema and (self.type != "json_schema" or has_value):
            raise ValueError("`json_schema` goes with the type `json_schema`, and without `value`")
        if self.type in ("json_schema", "json", "regex") and not (has_schema or has_value):
            raise ValueError(f"the type `{self.type}` needs its schema or its regex")
        if self.type == "text" and has_value:
            raise ValueError("the type `text` has no `value`")
        if self.type == "regex" and not isinstance(self.value, str):
            raise ValueError("a regex must be a string")
        return self


class _Body(Wire):
    """What both endpoints take; from `top_k` on, what vLLM has beside OpenAI."""

    model: Name | None = None
    temperature: Temperature | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Choices | None = None
    stop: StopString | StopStrings | None = None
    max_tokens: Positive | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=MAX_SEED)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Any] | list[Any], Field(max_length=0)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Name | None = None
    top_k: Annotated[int, Field(ge=-1, le=MAX_COUNT)] | None = None
    repetition_penalty: RepetitionPenalty | None = None
    min_tokens: Count | None = None
    ignore_eos: bool | None = None


class ChatBody(_Body):
    """The body of /v1/chat/completions.

    `user`, `metadata`, `service_tier`, `safety_identifier` and `prompt_cache_key` say nothing of the answer:
    they are taken, and not kept.
    """

    messages: Messages
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1, fail_fast=True)] | None = None
    store: Literal[False] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None
    chat_template_kwargs: Annotated[dict[str, Any], Field(max_length=32)] | None = None


class CompletionBody(_Body):
    """The body of /v1/completions; `prompt` is a text, token ids, or several of either."""

    prompt: Text | TokenIds | Prompts | TokenIdPrompts
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: Text | None = None
    best_of: Positive | None = None

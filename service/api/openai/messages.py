"""A conversation and its tools, exactly as they look on OpenAI's wire."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from service.api.fields import Text, Wire
from service.prompt.chat import MOST_MESSAGES

_MAX_TOOLS = 128
_MAX_PARTS = 1_024


class TextPart(Wire):
    """A piece of text."""

    type: Literal["text"]
    text: Text


class ImageUrl(Wire):
    """Where an image is: a data URI. `detail` counts for nothing: models here take one size."""

    url: Text
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Wire):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
ContentParts = Annotated[list[ContentPart], Field(max_length=_MAX_PARTS, fail_fast=True)]


class CalledFunction(Wire):
    """A call that the model made; `arguments` is JSON as text."""

    name: Text
    arguments: Text


class CalledTool(Wire):
    """A tool call of an earlier answer; `index` is there in those joined from a stream."""

    id: Text
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


CalledTools = Annotated[list[CalledTool], Field(max_length=_MAX_TOOLS, fail_fast=True)]


class Message(Wire):
    """One message. Answers may be sent back as they came: their null and empty fields count for nothing."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | ContentParts | None = None
    name: Text | None = None
    tool_calls: CalledTools | None = None
    tool_call_id: Text | None = None
    refusal: Text | None = None
    annotations: Annotated[list[Any], Field(max_length=0, fail_fast=True)] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _has_what_its_role_needs(self) -> "Message":
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of role `tool` needs `tool_call_id`")
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("a message needs `content`")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only a message of role `assistant` has `tool_calls`")
        return self


class Function(Wire):
    """What a tool does, for the model to read; `parameters` is a JSON schema."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Wire):
    """A function that the model may call."""

    type: Literal["function"]
    function: Function


class ChosenFunction(Wire):
    """The name of the function to call."""

    name: Text


class ChosenTool(Wire):
    """The tool that must be called; TGI's clients leave `type` out."""

    type: Literal["function"] = "function"
    function: ChosenFunction


Messages = Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES, fail_fast=True)]
Tools = Annotated[list[Tool], Field(max_length=_MAX_TOOLS, fail_fast=True)]
ToolChoice = Literal["none", "auto", "required"] | ChosenTool

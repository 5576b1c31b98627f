"""Takes the requests of /v1/chat/completions apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from service.api.openai.bodies import ChatBody, ResponseFormat
from service.api.openai.messages import ChosenTool, ImagePart
from service.api.openai.sampling import check_stream_options, check_top_logprobs, sampling_fields
from service.domain import ChatPrompt, FieldNames, Grammar, RawRequest
from service.errors import ValidationError
from service.manifest import ToolFormat
from service.prompt.tool_choice import forced_call, strict_tags

_MOST_TOOL_BYTES = 2**18
JSON_OBJECT = Grammar(kind="json_schema", value='{"type":"object","additionalProperties":true}')


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """Which tools the model is shown, and what holds its calls to them."""

    tools: Sequence[dict[str, Any]] = ()
    opening: str = ""
    grammar: Grammar | None = None


def to_raw(body: ChatBody, *, tool_use: ToolUse, default_new_tokens: int) -> RawRequest:
    """Take the request apart.

    Raises:
        ValidationError: for what this service can't honour and would change the answer.
    """
    _check(body, tool_use)
    return RawRequest(
        prompt=ChatPrompt(
            messages=[message.model_dump(exclude_unset=True) for message in body.messages],
            tools=tool_use.tools or None,
            continue_final_message=bool(body.continue_final_message),
            add_generation_prompt=body.add_generation_prompt is not False,
            template_arguments=body.chat_template_kwargs or {},
            opening=tool_use.opening,
        ),
        max_new_tokens=body.max_completion_tokens or body.max_tokens,
        default_new_tokens=default_new_tokens,
        grammar=tool_use.grammar or _grammar_of(body.response_format),
        logprobs=bool(body.logprobs),
        names=_names(body, tool_use),
        **sampling_fields(body),
    )


def has_images(body: ChatBody) -> bool:
    """Whether a message holds an image."""
    contents = [message.content for message in body.messages]
    return any(
        isinstance(part, ImagePart) for content in contents if isinstance(content, list) for part in content
    )


def tool_use_of(body: ChatBody, tool_format: ToolFormat) -> ToolUse:
    """What `tools` and `tool_choice` come to.

    Raises:
        ValidationError: the choice is of a tool that is not there, or a schema is no good or too large.
    """
    tools = [tool.model_dump(exclude_unset=True) for tool in body.tools or ()]
    _check_size(tools)
    choice = body.tool_choice or "auto"
    if choice == "none" or (choice == "auto" and not tools):
        return ToolUse()
    if choice == "auto":
        return ToolUse(tools=tools, grammar=strict_tags(tools, tool_format))
    name = choice.function.name if isinstance(choice, ChosenTool) else None
    forced = forced_call(tools, tool_format, name)
    return ToolUse(tools=tools, opening=forced.opening, grammar=forced.grammar)


def _check_size(tools: Sequence[dict[str, Any]]) -> None:
    """Refuse tools so large that making their grammar would stop the event loop."""
    try:
        size = len(msgspec.json.encode(tools))
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValidationError("`tools` must be valid JSON of reasonable depth", param="tools") from error
    if size > _MOST_TOOL_BYTES:
        raise ValidationError(
            f"`tools` must have at most {_MOST_TOOL_BYTES} bytes of JSON; they have {size}", param="tools"
        )


def _grammar_of(response_format: ResponseFormat | None) -> Grammar | None:
    if response_format is None or response_format.type == "text":
        return None
    given = response_format.json_schema.schema_ if response_format.json_schema else response_format.value
    if given is None:
        return JSON_OBJECT
    if isinstance(given, str):
        return Grammar(kind="regex" if response_format.type == "regex" else "json_schema", value=given)
    if response_format.type == "json_schema" and not response_format.json_schema:
        # TGI's clients wrap it.
        given = given.get("schema", given)
    try:
        return Grammar(kind="json_schema", value=msgspec.json.encode(given).decode())
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValidationError(
            "the schema of `response_format` must be valid JSON of reasonable depth", param="response_format"
        ) from error


def _names(body: ChatBody, tool_use: ToolUse) -> FieldNames:
    return FieldNames(
        prompt="messages",
        max_new_tokens="max_tokens" if body.max_tokens else "max_completion_tokens",
        min_new_tokens="min_tokens",
        grammar="tools" if tool_use.grammar else "response_format",
    )


def _check(body: ChatBody, tool_use: ToolUse) -> None:
    check_stream_options(body)
    check_top_logprobs("top_logprobs", body.top_logprobs, body)
    if body.top_logprobs is not None and not body.logprobs:
        raise ValidationError("`top_logprobs` needs `logprobs` true", param="top_logprobs")
    if body.max_tokens and body.max_completion_tokens and body.max_tokens != body.max_completion_tokens:
        raise ValidationError(
            "`max_tokens` and `max_completion_tokens` say the same: give one of them", param="max_tokens"
        )
    if tool_use.tools and body.response_format and body.response_format.type != "text":
        raise ValidationError(
            "`response_format` and `tools` exclude each other, unless `tool_choice` is none",
            param="response_format",
        )
    if body.continue_final_message and (body.add_generation_prompt or tool_use.opening):
        raise ValidationError(
            "`continue_final_message` excludes `add_generation_prompt` and a forcing `tool_choice`",
            param="continue_final_message",
        )

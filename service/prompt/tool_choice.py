"""Makes the model call a function, or call it with the arguments that its schema says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain import Grammar
from service.errors import ValidationError
from service.manifest import ToolFormat
from service.prompt.tool_schema import ANY_OBJECT, parameters_schema, rebased


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """How a format writes one call: `trigger`, then the object's text, then `end`.

    `opening` is what a forced call's prompt ends with; the grammar starts behind it.
    """

    trigger: str
    before: str
    arguments: str
    end: str
    opening: str


_STYLES: dict[ToolFormat, _Style] = {
    "hermes": _Style(
        trigger="<tool_call>",
        before="<tool_call>\n",
        arguments="arguments",
        end="\n</tool_call>",
        opening="<tool_call>\n",
    ),
    # No marker of its own: an answer that begins so is a call.
    "llama3": _Style(trigger='{"name": "', before="", arguments="parameters", end="", opening=""),
    "mistral": _Style(
        trigger="[TOOL_CALLS]",
        before="[TOOL_CALLS] [",
        arguments="arguments",
        end="]",
        opening="[TOOL_CALLS] ",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedCall:
    """One call that the model can't but make.

    `opening` goes at the end of the prompt, and first into the answer's ToolCallParser; `grammar` is
    what the model then writes.
    """

    opening: str
    grammar: Grammar


def forced_call(
    tools: Sequence[Mapping[str, Any]], tool_format: ToolFormat, name: str | None = None
) -> ForcedCall:
    """A call of the function `name`, or of any of `tools`, in OpenAI's form, for `tool_choice` "required".

    Raises:
        ValidationError: there is no such function, or a schema is nested too deeply.
    """
    functions = [tool["function"] for tool in tools if name in (None, tool["function"]["name"])]
    if not functions:
        wanted = "a function" if name is None else f"the function {name}"
        raise ValidationError(f"`tool_choice` asks for {wanted}, and `tools` has none", param="tool_choice")
    style = _STYLES[tool_format]
    schema = _call_schema(functions, style.arguments)
    if tool_format == "mistral":
        schema = {
            "$defs": schema.pop("$defs"),
            "type": "array",
            "items": schema,
            "minItems": 1,
            "maxItems": 1,
        }
    return ForcedCall(opening=style.opening, grammar=Grammar(kind="json_schema", value=json.dumps(schema)))


def strict_tags(tools: Sequence[Mapping[str, Any]], tool_format: ToolFormat) -> Grammar | None:
    """What holds the arguments of `strict` functions to their schemas where the model may call or not.

    None when no function is strict. The others have a tag too: once a call has begun, the grammar
    knows no way but its tags. Their arguments may be any object.

    Raises:
        ValidationError: a schema is nested too deeply.
    """
    functions = [tool["function"] for tool in tools]
    if not any(function.get("strict") for function in functions):
        return None
    style = _STYLES[tool_format]
    tags = [_tag(function, style) for function in functions]
    return Grammar(kind="structural_tags", value=json.dumps({"triggers": [style.trigger], "tags": tags}))


def _call_schema(functions: Sequence[Mapping[str, Any]], arguments: str) -> dict[str, Any]:
    """One call of one of the functions. Their schemas stand under `$defs`, where references reach them."""
    schemas = {
        str(index): rebased(parameters_schema(function), f"#/$defs/{index}")
        for index, function in enumerate(functions)
    }
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": function["name"]}, arguments: {"$ref": f"#/$defs/{index}"}},
            "required": ["name", arguments],
            "additionalProperties": False,
        }
        for index, function in enumerate(functions)
    ]
    call = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return {"$defs": schemas, **call}


def _tag(function: Mapping[str, Any], style: _Style) -> dict[str, Any]:
    name = json.dumps(function["name"], ensure_ascii=False)
    schema = rebased(parameters_schema(function), "#") if function.get("strict") else ANY_OBJECT
    return {
        "begin": f'{style.before}{{"name": {name}, "{style.arguments}": ',
        "schema": schema,
        "end": f"}}{style.end}",
    }

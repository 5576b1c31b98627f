"""Renders a conversation into the prompt that its model was trained on."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateError

from service.errors import ModelFolderError, ValidationError
from service.manifest import ToolFormat, read_manifest
from service.prompt.chat_environment import TemplateRefusalError, chat_environment
from service.prompt.chat_files import DEFAULT, TOOL_USE, read_special_tokens, read_templates
from service.prompt.continuation import cut_at_mark, marked
from service.prompt.messages import normalised, wrapped
from service.prompt.template_abilities import probe
from service.prompt.tools import as_text, instructed, shown

MOST_MESSAGES = 4_096
"""More are refused: some templates look at every message for each message."""

_OURS = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
_MOST_REASON_CHARACTERS = 300


class ChatTemplate:
    """A model's chat template: it makes the text that transformers' `apply_chat_template` makes.

    `tool_format` is how this model writes its tool calls. Where the template knows no tools, or has
    them written in a way that is no `ToolFormat`, they are put into words instead, and asked for in
    Hermes' way: see `service.prompt.tools`.
    """

    def __init__(
        self,
        templates: Mapping[str, str],
        *,
        special_tokens: Mapping[str, str] = MappingProxyType({}),
        tool_format: ToolFormat | None,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Compile `templates`: "default", and "tool_use" where the model has another one for tools.

        Raises:
            jinja2.TemplateError: one does not parse.
        """
        environment = chat_environment(now)
        self._special_tokens = dict(special_tokens)
        self._compiled = {name: environment.from_string(source) for name, source in templates.items()}
        self._abilities = {
            name: probe(source, partial(self._run, name, tools=None, variables={}))
            for name, source in templates.items()
        }
        source = templates.get(TOOL_USE, templates[DEFAULT])
        self._takes_tools = tool_format is not None and re.search(r"\btools\b", source) is not None
        self.tool_format: ToolFormat = tool_format if tool_format and self._takes_tools else "hermes"

    @classmethod
    def load(cls, folder: Path) -> "ChatTemplate | None":
        """Read the template in a converted model's folder; None when the model has none.

        Raises:
            ModelFolderError: it does not parse, or the folder's files are broken.
        """
        manifest = read_manifest(folder)
        templates = read_templates(folder)
        if not templates:
            return None
        special_tokens = read_special_tokens(folder, manifest.eos_token_ids)
        try:
            return cls(templates, special_tokens=special_tokens, tool_format=manifest.tool_format)
        except TemplateError as error:
            raise ModelFolderError(
                f"the chat template in {folder} does not parse: {error}. "
                "Mend its chat_template.jinja, or convert the model again"
            ) from error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        continue_final_message: bool = False,
        add_generation_prompt: bool = True,
        template_arguments: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The prompt for `messages`, and `tools`, both as in OpenAI's API.

        With `continue_final_message` the prompt ends with the last message's text, which the model
        goes on with; there is no generation prompt then. `template_arguments` are variables of the
        template's own, such as `enable_thinking`.

        A client chooses the messages and the arguments, never the template: that is the operator's. So
        the time is bounded by what the template does for each message, for each pair of messages in some,
        and for each character in Llama 3.2's: call this in a thread, with no more text than the model's
        context can hold.

        Raises:
            ValidationError: the template refuses the messages or fails on them; `param` is
                "messages", or "chat_template_kwargs" where one of those is not the caller's to set.
        """
        _check(messages, template_arguments, self._special_tokens)
        name = TOOL_USE if tools and TOOL_USE in self._compiled else DEFAULT
        abilities = self._abilities[name]
        prepared = normalised(messages, abilities, self.tool_format)
        if not self._takes_tools:
            prepared = as_text(prepared)
            if tools:
                prepared = instructed(prepared, tools, takes_system=abilities.takes_system)
        final, prepared = marked(prepared) if continue_final_message else ("", prepared)
        variables = {
            **template_arguments,
            "add_generation_prompt": add_generation_prompt and not continue_final_message,
        }
        template_tools = shown(tools) if tools and self._takes_tools else None
        text = self._rendered(name, wrapped(prepared, abilities), template_tools, variables)
        return cut_at_mark(text, final) if continue_final_message else text

    def _rendered(
        self,
        name: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        variables: dict[str, Any],
    ) -> str:
        try:
            text = self._run(name, messages, tools, variables)
            text.encode()  # a lone surrogate out of a call's arguments: no tokenizer takes it
        except TemplateRefusalError as error:
            reason = str(error)[:_MOST_REASON_CHARACTERS]
            raise ValidationError(f"the model's chat template refuses: {reason}", param="messages") from error
        except Exception as error:  # what a template does with odd messages has no common type
            reason = f"{type(error).__name__}: {error}"[:_MOST_REASON_CHARACTERS]
            raise ValidationError(
                f"the model's chat template can't render these messages: {reason}", param="messages"
            ) from error
        return text

    def _run(
        self,
        name: str,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        variables: dict[str, Any],
    ) -> str:
        known = {"messages": messages, "tools": tools, "documents": None}
        return self._compiled[name].render({**self._special_tokens, **variables, **known})


def _check(
    messages: Sequence[Mapping[str, Any]],
    template_arguments: Mapping[str, Any],
    special_tokens: Mapping[str, str],
) -> None:
    if not 0 < len(messages) <= MOST_MESSAGES:
        raise ValidationError(
            f"`messages` must have 1 to {MOST_MESSAGES} messages; got {len(messages)}", param="messages"
        )
    taken = (_OURS | special_tokens.keys()) & template_arguments.keys()
    if taken:
        raise ValidationError(
            f"{', '.join(sorted(taken))} can't be given to the chat template", param="chat_template_kwargs"
        )

"""Turns prompts of every form into token ids."""

import asyncio

import msgspec

from service.domain import ChatPrompt, RawRequest, TokenLimits
from service.errors import ValidationError
from service.prompt.chat import ChatTemplate
from service.prompt.validation import check_characters, check_ids, cut_to_characters
from service.text.tokenizer import ModelTokenizer


class PromptEncoder:
    """One model's way from a text, token ids or a conversation to its own token ids."""

    def __init__(
        self, *, model: str, tokenizer: ModelTokenizer, template: ChatTemplate | None, limits: TokenLimits
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._template = template
        self._limits = limits

    async def encode(self, raw: RawRequest) -> list[int]:
        """The prompt's token ids.

        Raises:
            ValidationError: it has unknown ids, is too long whatever its tokens, or can't be rendered.
        """
        prompt, add_special_tokens = raw.prompt, raw.add_special_tokens
        if isinstance(prompt, tuple):
            check_ids(prompt, self._tokenizer.ids, raw.names.prompt, most=self._limits.max_total)
            return list(prompt)
        most_characters = self._tokenizer.most_characters
        if isinstance(prompt, ChatPrompt):
            check_characters(raw, _characters(prompt), self._limits, most_characters)
            # A template's time can grow with the square of a long conversation: off the event loop.
            prompt, add_special_tokens = await asyncio.to_thread(self._render, prompt), False
        text = cut_to_characters(raw, prompt, self._limits, most_characters)
        return await self._tokenizer.encode(text, add_special_tokens=add_special_tokens)

    def _render(self, prompt: ChatPrompt) -> str:
        if self._template is None:
            raise ValidationError(
                f"the model {self._model} has no chat template: send a prompt to /v1/completions",
                param="messages",
            )
        text = self._template.render(
            prompt.messages,
            tools=prompt.tools,
            continue_final_message=prompt.continue_final_message,
            add_generation_prompt=prompt.add_generation_prompt,
            template_arguments=prompt.template_arguments,
        )
        return text + prompt.opening


def _characters(prompt: ChatPrompt) -> int:
    """How many characters the client sent, structures as JSON: about as many as its text will have."""
    try:
        return sum(
            len(part if isinstance(part, str) else msgspec.json.encode(part)) for part in prompt.parts()
        )
    except (UnicodeEncodeError, RecursionError) as error:
        raise ValidationError(
            "`messages` and `tools` must be valid JSON of reasonable depth", param="messages"
        ) from error

"""Turns prompts of every form into token ids."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from service.domain import ChatPrompt, PicturePrompt, RawRequest, TokenLimits
from service.errors import ValidationError
from service.picture_encoder import PictureEncoder, SplitPrompt, Vision
from service.prompt.chat import ChatTemplate
from service.prompt.images.chat_images import chat_images, has_chat_image
from service.prompt.images.parts import has_image
from service.prompt.validation import check_characters, check_ids, cut_to_characters
from service.text.tokenizer import ModelTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """A prompt's token ids; for a vision model also its texts and images."""

    ids: list[int]
    pictures: PicturePrompt | None = None


class PromptEncoder:
    """One model's way from a text, token ids or a conversation to its own token ids; `vision` if it sees."""

    def __init__(
        self,
        *,
        model: str,
        tokenizer: ModelTokenizer,
        template: ChatTemplate | None,
        limits: TokenLimits,
        vision: Vision | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._template = template
        self._limits = limits
        self._pictures = PictureEncoder(vision=vision, tokenizer=tokenizer) if vision else None

    async def encode(self, raw: RawRequest, held: AsyncExitStack) -> EncodedPrompt:
        """The prompt's token ids, and its images; `held` keeps their room for as long as it is open.

        Raises:
            ValidationError: it has unknown ids, is too long whatever its tokens, can't be rendered, or
                has images that this model can't take.
        """
        if self._pictures is not None:
            return await self._encode_for_vision(self._pictures, raw, held)
        self._refuse_images(raw)
        prompt, add_special_tokens = raw.prompt, raw.add_special_tokens
        if isinstance(prompt, tuple):
            return EncodedPrompt(ids=self._checked_ids(prompt, raw))
        if isinstance(prompt, ChatPrompt):
            prompt, add_special_tokens = await self._rendered(prompt, raw), False
        text = cut_to_characters(raw, prompt, self._limits, self._tokenizer.most_characters)
        return EncodedPrompt(ids=await self._tokenizer.encode(text, add_special_tokens=add_special_tokens))

    async def _encode_for_vision(
        self, pictures: PictureEncoder, raw: RawRequest, held: AsyncExitStack
    ) -> EncodedPrompt:
        prompt = await self._split(pictures, raw)
        check_characters(raw, prompt.characters, self._limits, self._tokenizer.most_characters)
        ids, picture_prompt = await pictures.encode(prompt, raw, held)
        return EncodedPrompt(ids=ids, pictures=picture_prompt)

    async def _split(self, pictures: PictureEncoder, raw: RawRequest) -> SplitPrompt:
        if isinstance(raw.prompt, tuple):
            # The engine of a vision model takes text only.
            return SplitPrompt(texts=(await self._tokenizer.decode(self._checked_ids(raw.prompt, raw)),))
        if isinstance(raw.prompt, str):
            return await asyncio.to_thread(pictures.split, raw.prompt, raw)
        marked = chat_images(raw.prompt)
        text = await self._rendered(marked.prompt, raw)
        texts = marked.split(text)
        return SplitPrompt(texts=texts, sources=marked.sources)

    def _refuse_images(self, raw: RawRequest) -> None:
        prompt = raw.prompt
        if isinstance(prompt, str):
            is_refused = has_image(prompt, remote=False)
        else:
            is_refused = isinstance(prompt, ChatPrompt) and has_chat_image(prompt)
        if is_refused:
            raise ValidationError(
                f"the model {self._model} takes no images: leave them out, or name a vision model",
                param=raw.names.prompt,
            )

    def _checked_ids(self, prompt: tuple[int, ...], raw: RawRequest) -> list[int]:
        check_ids(prompt, self._tokenizer.ids, raw.names.prompt, most=self._limits.max_total)
        return list(prompt)

    async def _rendered(self, prompt: ChatPrompt, raw: RawRequest) -> str:
        check_characters(raw, _characters(prompt), self._limits, self._tokenizer.most_characters)
        # A template's time can grow with the square of a long conversation: off the event loop.
        return await asyncio.to_thread(self._render, prompt)

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

"""Turns prompts with images into what a vision model's engine takes."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from service.domain import Image, PicturePrompt, RawRequest
from service.errors import ValidationError
from service.manifest import ImageLimits
from service.prompt.images.intake import ImageIntake
from service.prompt.images.parts import ImageSource, check_marks, split
from service.prompt.images.room import PictureRoom
from service.text.tokenizer import ModelTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """What a vision model needs beside a text model's parts; intake and room are those of all models."""

    limits: ImageLimits
    intake: ImageIntake
    room: PictureRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPrompt:
    """A prompt's texts with an image between each two of them."""

    texts: tuple[str, ...]
    sources: tuple[ImageSource, ...] = ()

    @property
    def characters(self) -> int:
        """The length of all texts."""
        return sum(len(text) for text in self.texts)


class PictureEncoder:
    """One vision model's way from a split prompt to token ids and decoded images."""

    def __init__(self, *, vision: Vision, tokenizer: ModelTokenizer) -> None:
        self._vision = vision
        self._tokenizer = tokenizer

    def split(self, text: str, raw: RawRequest) -> SplitPrompt:
        """Find the images in a text. Raises: ValidationError."""
        texts, sources = split(text, name=raw.names.prompt)
        return SplitPrompt(texts=texts, sources=sources)

    async def encode(
        self, prompt: SplitPrompt, raw: RawRequest, held: AsyncExitStack
    ) -> tuple[list[int], PicturePrompt]:
        """Token ids of the texts, and the prompt for the engine; `held` keeps the images' room.

        Raises:
            ValidationError: a text holds what stands for an image, an image is no good, or a parameter
                can't be had with a vision model.
        """
        _check_parameters(raw, prompt)
        limits = self._vision.limits
        texts = [prompt.texts[0], *(text.removeprefix(limits.engine_appends) for text in prompt.texts[1:])]
        # The engine tokenises for itself, and always adds the special tokens that begin a text.
        texts[0] = await self._tokenizer.without_added_start(texts[0])
        check_marks(texts, limits.marks, name=raw.names.prompt)
        ids = await self._ids(texts)
        if raw.truncate is not None:
            ids = ids[-raw.truncate :]
            texts = [await self._tokenizer.decode(ids)]
        images = await self._images(prompt.sources, raw, held)
        image_tokens = len(images) * limits.tokens_per_image
        return ids, PicturePrompt(texts=tuple(texts), images=images, image_tokens=image_tokens)

    async def _ids(self, texts: Sequence[str]) -> list[int]:
        ids: list[int] = []
        for index, text in enumerate(texts):
            if text or index == 0:
                ids += await self._tokenizer.encode(text, add_special_tokens=index == 0)
        return ids

    async def _images(
        self, sources: tuple[ImageSource, ...], raw: RawRequest, held: AsyncExitStack
    ) -> tuple[Image, ...]:
        if not sources:
            return ()
        self._vision.intake.check_count(len(sources), self._vision.limits, name=raw.names.prompt)
        await held.enter_async_context(self._vision.room.taken(len(sources)))
        return await self._vision.intake.images(sources, self._vision.limits, name=raw.names.prompt)


def _check_parameters(raw: RawRequest, prompt: SplitPrompt) -> None:
    if raw.prompt_logprobs:
        raise ValidationError(
            "`decoder_input_details` can't be had from a vision model", param="decoder_input_details"
        )
    if raw.truncate is not None and prompt.sources:
        raise ValidationError("`truncate` would cut images off: send a shorter text", param="truncate")

"""Finds the images of a conversation, and keeps their places through the model's chat template."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.domain import ChatPrompt
from service.errors import ValidationError
from service.prompt.images.parts import ImageSource, image_of_url

_MARK_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedChat:
    """A conversation with a mark in each image's place, which nobody could have guessed and written."""

    prompt: ChatPrompt
    sources: tuple[ImageSource, ...]
    mark: str

    def split(self, text: str) -> tuple[str, ...]:
        """The rendered text, cut at the images' places.

        Raises:
            ValidationError: the template left images out, or put some in twice.
        """
        texts = tuple(text.split(self.mark))
        if len(texts) != len(self.sources) + 1:
            raise ValidationError(
                f"the model's chat template has places for {len(texts) - 1} of the conversation's "
                f"{len(self.sources)} images: put images into the user's messages only",
                param="messages",
            )
        return texts


def has_chat_image(prompt: ChatPrompt) -> bool:
    """Whether a message holds an image."""
    return any(_is_image(part) for message in prompt.messages for part in _parts(message))


def chat_images(prompt: ChatPrompt) -> MarkedChat:
    """Take the images out of a conversation, in their order, leaving marks as text parts.

    Marks are text, not the image parts that some templates know: for those they would write the model's
    own marks, which the engine puts around each image itself.

    Raises:
        ValidationError: an image's URL is of no use.
    """
    mark = f"[picture {secrets.token_hex(_MARK_BYTES)}]"
    sources: list[ImageSource] = []
    messages = [_marked(message, mark, sources) for message in prompt.messages]
    return MarkedChat(prompt=replace(prompt, messages=messages), sources=tuple(sources), mark=mark)


def _marked(message: Mapping[str, Any], mark: str, sources: list[ImageSource]) -> Mapping[str, Any]:
    if not any(_is_image(part) for part in _parts(message)):
        return message
    parts: list[Mapping[str, Any]] = []
    for part in _parts(message):
        if _is_image(part):
            sources.append(image_of_url(part["image_url"]["url"], name="messages"))
            parts.append({"type": "text", "text": mark})
        else:
            parts.append(part)
    return {**message, "content": _with_line_breaks(parts, mark)}


def _with_line_breaks(parts: list[Mapping[str, Any]], mark: str) -> list[Mapping[str, Any]]:
    """A line break between an image and the text behind it, as models are trained with."""
    spaced: list[Mapping[str, Any]] = []
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        after = following["text"] if following else mark
        needs_break = part["text"] == mark and not after.startswith((mark, "\n"))
        spaced.append({**part, "text": mark + "\n"} if needs_break else part)
    return spaced


def _parts(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content = message.get("content")
    yield from content if isinstance(content, list) else ()


def _is_image(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "image_url"

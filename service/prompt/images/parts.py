"""Finds the images in a text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.errors import ValidationError

_OPEN, _CLOSE = "<image>", "</image>"
_MARKDOWN_OPEN, _MARKDOWN_CLOSE = "![](", ")"
_REMOTE = ("https://", "http://")
# A link in Markdown to anything else is text.
_OPENINGS = (_OPEN, *(f"{_MARKDOWN_OPEN}{scheme}" for scheme in ("data:", *_REMOTE)))
# Possessive, so that it never goes back: linear in any text.
_TAGGED = re.compile(f"{_OPEN}[^<]*+{_CLOSE}")
# The engine's own marks, whatever the model.
_ENGINE_MARKS = (_OPEN, _CLOSE, "<ov_genai_image_", "<ov_genai_video_")
_HOW_TO = "an image is written <image>BASE64</image>, with JPEG, PNG or WebP data"


MOST_IMAGES = 64
"""No model takes more in one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineImage:
    """An image in the request itself: what stood between the tags, without a data URI's head."""

    base64: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """An image to be fetched."""

    url: str


ImageSource = InlineImage | RemoteImage


def has_image(text: str, *, remote: bool) -> bool:
    """Whether a text holds an image; with `remote` a URL in Markdown is one.

    A pair of tags with other tags in between is none: a feed in XML stays a text.
    """
    if _TAGGED.search(text):
        return True
    if f"{_MARKDOWN_OPEN}data:" in text:
        return True
    return remote and any(f"{_MARKDOWN_OPEN}{scheme}" in text for scheme in _REMOTE)


def split(text: str, *, name: str) -> tuple[tuple[str, ...], tuple[ImageSource, ...]]:
    """Cut a text at its images: their sources, and the texts around them, one more.

    Raises:
        ValidationError: a tag without its other half, a tag inside another, or an empty image.
    """
    texts: list[str] = []
    sources: list[ImageSource] = []
    done = 0
    # Where each opening comes next: every one of them is looked for only forward, so the time is linear.
    following = {opening: text.find(opening) for opening in _OPENINGS}
    while found := {place: opening for opening, place in following.items() if place >= 0}:
        if len(sources) == MOST_IMAGES:
            raise ValidationError(f"`{name}` has more than {MOST_IMAGES} images", param=name)
        begin = min(found)
        read = _tagged if found[begin] == _OPEN else _in_markdown
        content, end = read(text, begin, name)
        texts.append(text[done:begin])
        sources.append(_source(content, name))
        done = end
        for opening, place in following.items():
            if 0 <= place < end:
                following[opening] = text.find(opening, end)
    texts.append(text[done:])
    if any(_CLOSE in one for one in texts):
        raise ValidationError(f"`{name}` has {_CLOSE} without {_OPEN} before it: {_HOW_TO}", param=name)
    return tuple(texts), tuple(sources)


def image_of_url(url: str, *, name: str) -> ImageSource:
    """The image that OpenAI's `image_url` names.

    Raises:
        ValidationError: it is neither a data URI nor a URL.
    """
    if not url.startswith(("data:", *_REMOTE)):
        raise ValidationError(
            f"an image's `url` in `{name}` must be data:image/...;base64,... or a https URL", param=name
        )
    return _source(url, name)


def check_marks(texts: Iterable[str], marks: Sequence[str], *, name: str) -> None:
    """See that no text holds what the engine would take for an image's place.

    Raises:
        ValidationError: one does; nothing could tell it from an image.
    """
    for text in texts:
        for mark in (*_ENGINE_MARKS, *marks):
            if mark in text:
                raise ValidationError(
                    f"`{name}` holds {mark!r}, which stands for an image in this model's prompts, without "
                    f"being one: leave it out ({_HOW_TO})",
                    param=name,
                )


def _tagged(text: str, begin: int, name: str) -> tuple[str, int]:
    inside = begin + len(_OPEN)
    end = text.find("<", inside)
    if end < 0:
        raise ValidationError(f"`{name}` has {_OPEN} without {_CLOSE}: {_HOW_TO}", param=name)
    if not text.startswith(_CLOSE, end):
        raise ValidationError(f"`{name}` has another tag between {_OPEN} and {_CLOSE}: {_HOW_TO}", param=name)
    return text[inside:end], end + len(_CLOSE)


def _in_markdown(text: str, begin: int, name: str) -> tuple[str, int]:
    inside = begin + len(_MARKDOWN_OPEN)
    end = text.find(_MARKDOWN_CLOSE, inside)
    if end < 0:
        raise ValidationError(f"`{name}` has an image in Markdown without its closing `)`", param=name)
    return text[inside:end], end + len(_MARKDOWN_CLOSE)


def _source(content: str, name: str) -> ImageSource:
    content = content.strip()
    if content.startswith(_REMOTE):
        return RemoteImage(url=content)
    if content.startswith("data:"):
        head, comma, content = content.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ValidationError(
                f"a data URI in `{name}` must be data:image/...;base64,... with the image in base64",
                param=name,
            )
    if not content:
        raise ValidationError(f"`{name}` has an empty image: {_HOW_TO}", param=name)
    return InlineImage(base64=content)

"""A conversation's images keep their places through the chat template."""

from typing import Any

import pytest

from service.domain import ChatPrompt
from service.errors import ValidationError
from service.prompt.images.chat_images import chat_images, has_chat_image
from service.prompt.images.parts import InlineImage


def _image(data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _prompt(*contents: object) -> ChatPrompt:
    return ChatPrompt(messages=[{"role": "user", "content": content} for content in contents])


def _rendered(prompt: ChatPrompt) -> str:
    """As a template that knows lists writes them."""
    contents = [message["content"] for message in prompt.messages]
    return "|".join(
        content if isinstance(content, str) else "".join(part["text"] for part in content)
        for content in contents
    )


def test_images_of_several_messages_are_found_in_order() -> None:
    given = _prompt([_text("see"), _image("QUJD"), _text("and")], "plain", [_image("QUJE"), _image("QUJF")])
    marked = chat_images(given)
    assert marked.sources == tuple(InlineImage(base64=one) for one in ("QUJD", "QUJE", "QUJF"))
    # A line break comes between an image and the text behind it.
    assert marked.split(_rendered(marked.prompt)) == ("see", "\nand|plain|", "", "")
    assert has_chat_image(given)
    assert not has_chat_image(marked.prompt)


def test_a_line_break_that_is_there_is_not_doubled() -> None:
    marked = chat_images(_prompt([_image("QUJD"), _text("\nwhat?")]))
    assert marked.split(_rendered(marked.prompt)) == ("", "\nwhat?")


def test_text_alone_is_left_as_it_is() -> None:
    given = _prompt("a", [_text("b")])
    marked = chat_images(given)
    assert marked.prompt.messages == given.messages
    assert marked.split("a|b") == ("a|b",)


def test_no_text_can_pass_for_an_image() -> None:
    first = chat_images(_prompt([_image("QUJD")]))
    second = chat_images(_prompt([_text(first.mark), _image("QUJD")]))
    assert len(second.split(_rendered(second.prompt))) == 2


@pytest.mark.parametrize("times", [0, 2])
def test_a_template_that_loses_or_repeats_images_is_refused(times: int) -> None:
    marked = chat_images(_prompt([_image("QUJD")]))
    with pytest.raises(ValidationError, match=f"has places for {times} of the conversation's 1 images"):
        marked.split(_rendered(marked.prompt) * times)

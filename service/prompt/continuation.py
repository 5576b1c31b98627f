"""Ends a prompt inside its last message, as transformers' `continue_final_message` does."""

from typing import Any

from service.errors import ValidationError

# The space shows whether the template trims what it is given.
_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


def marked(messages: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The last message's text, and the messages with a mark at that text's end.

    Raises:
        ValidationError: the last message has no text.
    """
    last = messages[-1]
    content = last["content"]
    if isinstance(content, str):
        return content, [*messages[:-1], {**last, "content": content + _MARK}]
    for index in reversed(range(len(content))):
        part = content[index]
        if isinstance(part.get("text"), str):
            parts = [*content[:index], {**part, "text": part["text"] + _MARK}, *content[index + 1 :]]
            return part["text"], [*messages[:-1], {**last, "content": parts}]
    raise ValidationError("the last message has no text to continue", param="messages")


def cut_at_mark(rendered: str, final_text: str) -> str:
    """The prompt up to the mark, and up to the text's own last character where the template trims.

    Raises:
        ValidationError: the template left the last message out, or changed it.
    """
    place = rendered.rfind(_MARK.strip())
    if place < 0 or final_text.strip() not in rendered:
        raise ValidationError(
            "the last message can't be continued: the model's chat template leaves it out or changes it",
            param="messages",
        )
    is_trimmed = not rendered.startswith(_MARK, place)
    return rendered[:place].rstrip() if is_trimmed else rendered[:place]

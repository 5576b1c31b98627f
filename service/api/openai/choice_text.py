"""Turns one choice's events into content and tool calls."""

from collections.abc import Iterable

from service.domain import Finish, GenerationEvent, Token
from service.manifest import ToolFormat
from service.text.tool_calls import ContentPiece, ToolCall, ToolCallParser, markers

Part = ContentPiece | ToolCall


class ChoiceText:
    """The content and the calls of one choice, as far as its events tell.

    `tool_format` is None where the model was shown no tools: then all text is content. `opening` is what
    the answer began with, in the prompt already. With `is_single` calls after the first one are left out.
    """

    def __init__(
        self, tool_format: ToolFormat | None = None, *, opening: str = "", is_single: bool = False
    ) -> None:
        self._parser = ToolCallParser(tool_format) if tool_format else None
        self._markers = markers(tool_format) if tool_format else frozenset()
        self._opening = opening
        self._is_single = is_single
        self._sent_characters = 0
        self.calls = 0

    def add(self, events: Iterable[GenerationEvent]) -> list[Part]:
        """Take the next events; return what they add."""
        text, finish = "", None
        for event in events:
            if isinstance(event, Token):
                text += self._text_of(event)
            elif isinstance(event, Finish):
                finish = event
        if finish:
            # What waited to be known as no stop string.
            text += finish.generated_text[self._sent_characters :]
        return self._parse(text, is_last=finish is not None)

    def content(self, events: Iterable[GenerationEvent]) -> str:
        """The same where all is content."""
        return "".join(part.text for part in self.add(events) if isinstance(part, ContentPiece))

    def _text_of(self, token: Token) -> str:
        if token.special:
            self._sent_characters += len(token.freed)
            return token.freed + (token.text if token.text in self._markers else "")
        self._sent_characters += len(token.text)
        return token.text

    def _parse(self, text: str, *, is_last: bool) -> list[Part]:
        if self._parser is None:
            return [ContentPiece(text=text)] if text else []
        opening, self._opening = self._opening, ""
        parts = self._parser.add(opening + text)
        if is_last:
            parts += self._parser.finish()
        return [part for part in parts if self._counts(part)]

    def _counts(self, part: Part) -> bool:
        if not isinstance(part, ToolCall):
            return True
        if self._is_single and self.calls:
            return False
        self.calls += 1
        return True

"""Finds the tool calls in an answer that comes in pieces."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.manifest import ToolFormat
from service.text.call_json import read_arguments, read_call
from service.text.held_text import HeldText, Reading

_SPACE = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[\s;,]+")
_NAME = re.compile(r"[\w.\-]+")

_HERMES_OPEN, _HERMES_CLOSE = "<tool_call>", "</tool_call>"
_LLAMA3_OPEN = "<|python_tag|>"
_MISTRAL_OPEN, _MISTRAL_ID, _MISTRAL_ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"

_MARKERS: dict[ToolFormat, frozenset[str]] = {
    "hermes": frozenset({_HERMES_OPEN, _HERMES_CLOSE}),
    "llama3": frozenset({_LLAMA3_OPEN}),
    "mistral": frozenset({_MISTRAL_OPEN, _MISTRAL_ID, _MISTRAL_ARGUMENTS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPiece:
    """Text of the answer that is no call; never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A complete call. `arguments_json` is a JSON object as text."""

    name: str
    arguments_json: str


def markers(tool_format: ToolFormat) -> frozenset[str]:
    """The texts that a ToolCallParser must be given even where they are special tokens."""
    return _MARKERS[tool_format]


class ToolCallParser:
    """Splits an answer into its calls and the text around them, each as soon as it is certain.

    A call is complete with its JSON object; a closing marker after it is welcome, not needed. Any name
    is a call, one that is not among the request's tools too, as in vLLM: the client knows what it can do.
    What begins like a call and is none is text. White space before a call that begins the answer, between
    calls and after the last one is left out; nothing else is. The time is linear in the text, and nothing
    raises, whatever the model writes.
    """

    def __init__(self, tool_format: ToolFormat) -> None:
        self._text = HeldText()
        self._events: list[ContentPiece | ToolCall] = []
        self._has_called = False
        self._may_skip = True  # at the answer's start, and after a call
        self._reading: Iterator[None] = {
            "hermes": self._read_hermes,
            "llama3": self._read_llama3,
            "mistral": self._read_mistral,
        }[tool_format]()

    def add(self, text: str) -> list[ContentPiece | ToolCall]:
        """Read the next piece of the answer; return what has become certain."""
        self._text.add(text)
        return self._read_on()

    def finish(self) -> list[ContentPiece | ToolCall]:
        """The answer is over: return what was held back."""
        self._text.end()
        return self._read_on()

    def _read_on(self) -> list[ContentPiece | ToolCall]:
        next(self._reading, None)
        self._say_content()
        events, self._events = self._events, []
        return events

    def _read_hermes(self) -> Reading[None]:
        """`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, any number of them."""
        while (yield from self._find(_HERMES_OPEN)):
            if (yield from self._take_call()):
                yield from self._text.take_while(_SPACE)
                if (yield from self._text.take(_HERMES_CLOSE)):
                    self._text.drop()

    def _read_llama3(self) -> Reading[None]:
        """`{"name": ..., "parameters": {...}}` at the start or after `<|python_tag|>`; `;` between them."""
        while not self._text.at_end():
            yield from self._skip(_SEPARATORS if self._has_called else _SPACE)
            yield from self._text.take(_LLAMA3_OPEN)
            if not (yield from self._take_call(needs_arguments=True)):
                yield from self._text.pass_until(_LLAMA3_OPEN)

    def _read_mistral(self) -> Reading[None]:
        """`[TOOL_CALLS] [{"name": ..., "arguments": {...}}, ...]`, or `[TOOL_CALLS]name[ARGS]{...}`."""
        while (yield from self._find(_MISTRAL_OPEN)):
            yield from self._text.take_while(_SPACE)
            if (yield from self._text.take("[")):
                yield from self._take_array()
            elif name := (yield from self._text.take_while(_NAME)):
                yield from self._take_arguments(name)
            else:
                yield from self._take_call()

    def _find(self, marker: str) -> Reading[bool]:
        yield from self._skip(_SPACE)
        if (yield from self._text.take(marker)):
            return True
        self._text.give_back()
        return (yield from self._text.pass_until(marker))

    def _skip(self, pattern: re.Pattern[str]) -> Reading[None]:
        if self._may_skip:
            yield from self._text.take_while(pattern)
            if self._has_called and self._text.at_end():
                self._text.drop()
        self._may_skip = False

    def _take_call(self, *, needs_arguments: bool = False) -> Reading[bool]:
        yield from self._text.take_while(_SPACE)
        text = yield from self._text.take_object()
        call = None if text is None else read_call(text, needs_arguments=needs_arguments)
        return self._settle(call)

    def _take_array(self) -> Reading[None]:
        while (yield from self._take_call()):
            yield from self._text.take_while(_SPACE)
            if not (yield from self._text.take(",")):
                break
        if self._may_skip and (yield from self._text.take("]")):
            self._text.drop()

    def _take_arguments(self, name: str) -> Reading[None]:
        if (yield from self._text.take(_MISTRAL_ID)):
            yield from self._text.take_while(_NAME)
        yield from self._text.take(_MISTRAL_ARGUMENTS)
        yield from self._text.take_while(_SPACE)
        text = yield from self._text.take_object()
        arguments = None if text is None else read_arguments(text)
        self._settle(None if arguments is None else (name, arguments))

    def _settle(self, call: tuple[str, str] | None) -> bool:
        """What is held was `call`, or no call at all."""
        self._may_skip = call is not None
        if call is None:
            self._text.give_back()
            return False
        self._text.drop()
        self._say_content()
        self._events.append(ToolCall(name=call[0], arguments_json=call[1]))
        self._has_called = True
        return True

    def _say_content(self) -> None:
        text = self._text.content()
        if text:
            self._events.append(ContentPiece(text=text))

"""Tells a stream's usage where its client asked for it."""

from collections.abc import Iterable

from service.api.openai.answers import UNSET, Unset, Usage
from service.api.openai.bodies import StreamOptions
from service.api.openai.usage import UsageCount, usage
from service.domain import GenerationEvent, Start, Token


class StreamUsage:
    """The usage of a stream in no event, in the last one (OpenAI's), or in each (vLLM's).

    In each event it is that of the event's choice so far, in the last one that of the whole answer.
    """

    def __init__(self, options: StreamOptions | None, *, choices: int, choices_of_a_prompt: int) -> None:
        self._is_told = bool(options and options.include_usage)
        self._is_continuous = bool(self._is_told and options and options.continuous_usage_stats)
        self._count = UsageCount(choices_of_a_prompt)
        self._prompt_tokens = [0] * choices
        self._completion_tokens = [0] * choices

    def add(self, index: int, events: Iterable[GenerationEvent]) -> None:
        """Count the events of the choice `index`."""
        if self._is_told:
            self._count.add(index, events)
        if self._is_continuous:
            for event in events:
                if isinstance(event, Token):
                    self._completion_tokens[index] += 1
                elif isinstance(event, Start):
                    self._prompt_tokens[index] = event.prompt_tokens

    def so_far(self, index: int, *, has_text: bool = True) -> Usage | Unset | None:
        """What an event of the choice `index` tells; without `has_text` it comes before all tokens."""
        if not self._is_continuous:
            return None if self._is_told else UNSET
        return usage(self._prompt_tokens[index], self._completion_tokens[index] if has_text else 0)

    def at_end(self) -> Usage | None:
        """What an event after the last choice's end tells, if there is to be one."""
        return self._count.total() if self._is_told else None

"""Counts the tokens of a whole answer."""

from collections.abc import Iterable

from service.api.openai.answers import Usage
from service.domain import Finish, GenerationEvent


class UsageCount:
    """Adds up as events come; each prompt has `choices_of_a_prompt` choices and counts once."""

    def __init__(self, choices_of_a_prompt: int) -> None:
        self._choices = choices_of_a_prompt
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def add(self, index: int, events: Iterable[GenerationEvent]) -> None:
        """Count the events of the choice `index`."""
        for event in events:
            if isinstance(event, Finish):
                self._completion_tokens += event.generated_tokens
                if index % self._choices == 0:
                    self._prompt_tokens += event.prompt_tokens

    def total(self) -> Usage:
        """All that was counted."""
        return usage(self._prompt_tokens, self._completion_tokens)


def usage(prompt_tokens: int, completion_tokens: int) -> Usage:
    """The two with their sum."""
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )


def usage_of(finishes: Iterable[Finish], choices_of_a_prompt: int) -> Usage:
    """The same of answers that are whole, in the order of their choices."""
    count = UsageCount(choices_of_a_prompt)
    for index, finish in enumerate(finishes):
        count.add(index, (finish,))
    return count.total()

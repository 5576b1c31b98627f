"""Several answers to one request."""

from collections.abc import Sequence
from dataclasses import replace

from service.domain import SEEDS, Answer, Finish, GenerationEvent, RawRequest, Start, Token
from service.generation import TextModel


def alternatives(raw: RawRequest, count: int) -> list[RawRequest]:
    """The same request `count` times; a given seed counts up, so that the answers differ."""
    if raw.seed is None:
        return [raw] * count
    return [replace(raw, seed=(raw.seed + offset) % SEEDS) for offset in range(count)]


async def generate_answers(model: TextModel, raws: Sequence[RawRequest]) -> list[Answer]:
    """Generate whole answers, in the order of `raws`; see `TextModel.generate` for what it raises."""
    events: list[list[GenerationEvent]] = [[] for _ in raws]
    await model.generate(raws, lambda index, batch: events[index].extend(batch))
    return [_fold(one) for one in events]


def _fold(events: Sequence[GenerationEvent]) -> Answer:
    """The answer that all events of a request make."""
    start, *tokens, finish = events
    assert isinstance(start, Start)  # noqa: S101 - narrows the type of what `generate` promises
    assert isinstance(finish, Finish)  # noqa: S101 - the same
    return Answer(
        tokens=[token for token in tokens if isinstance(token, Token)], finish=finish, prefill=start.prefill
    )

"""Runs several generations as one: the choices of an answer."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from service.domain import Answer, GenerationEvent, RawRequest
from service.generation import GenerationEvents, TextModel, fold

IndexedBatch = tuple[int, Sequence[GenerationEvent]]
IndexedEvents = AsyncGenerator[IndexedBatch, None]

_SEEDS = 2**63


def alternatives(raw: RawRequest, count: int) -> list[RawRequest]:
    """The same request `count` times; a given seed counts up, so that the answers differ."""
    if raw.seed is None:
        return [raw] * count
    return [replace(raw, seed=(raw.seed + offset) % _SEEDS) for offset in range(count)]


async def stream_choices(model: TextModel, raws: Sequence[RawRequest]) -> IndexedEvents:
    """Generate all of `raws` side by side; each batch comes with the index of its request.

    Closing the generator cancels them all; the first error of one ends them all. For what it raises see
    `TextModel.stream`.
    """
    streams = [model.stream(raw) for raw in raws]
    async with aclosing(_merge(streams) if len(streams) > 1 else _only(streams[0])) as batches:
        async for batch in batches:
            yield batch


async def generate_choices(model: TextModel, raws: Sequence[RawRequest]) -> list[Answer]:
    """Generate whole answers, in the order of `raws`; see `stream_choices`."""
    events: list[list[GenerationEvent]] = [[] for _ in raws]
    async with aclosing(stream_choices(model, raws)) as batches:
        async for index, batch in batches:
            events[index] += batch
    return [fold(one) for one in events]


async def _only(stream: GenerationEvents) -> IndexedEvents:
    async with aclosing(stream):
        async for batch in stream:
            yield 0, batch


async def _merge(streams: Sequence[GenerationEvents]) -> IndexedEvents:
    pending = {_next(stream): index for index, stream in enumerate(streams)}
    try:
        while pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                batch = task.result()
                index = pending.pop(task)
                if batch is not None:
                    yield index, batch
                    pending[_next(streams[index])] = index
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def _next(stream: GenerationEvents) -> "asyncio.Task[Sequence[GenerationEvent] | None]":
    return asyncio.ensure_future(anext(stream, None))

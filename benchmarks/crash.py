"""Kills the engine under open streams: how they end, and when the next answer comes."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.answers import is_answer, is_error_event
from benchmarks.client import Connection, Reply, open_connections
from benchmarks.errors import BenchmarkError
from benchmarks.server import Server
from benchmarks.workload import generate_body, make_texts

_FIRST_TOKENS_S = 60.0
_END_S = 60.0
_ANSWER_S = 120.0
_ANSWER_TOKENS = 8
_ASK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashSettings:
    """What to open: streams of so many tokens that none ends before the kill. The limits are in seconds."""

    streams: int
    tokens: int
    prompt_words: int
    seed: int
    end_limit_s: float
    answer_limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashResults:
    """What came of it; times are in seconds since the kill. `answered_s` is None when no answer came.

    `tokens_before` are those of all streams; `other_ends` tells of streams without an error event.
    """

    streams: int
    error_events: int
    other_ends: list[str]
    tokens_before: int
    last_end_s: float
    answered_s: float | None
    faults: list[str]


async def run_crash(server: Server, settings: CrashSettings) -> CrashResults:
    """Open the streams, kill the engine, watch. Raises: BenchmarkError when the streams don't even begin."""
    connections = await open_connections(server.target, settings.streams)
    begun = [asyncio.Event() for _ in connections]
    streams = [
        asyncio.create_task(
            connection.send(
                server.target.request(
                    "POST", "/generate_stream", generate_body(text, max_new_tokens=settings.tokens)
                ),
                timeout_s=_FIRST_TOKENS_S + _END_S,
                on_first_event=event.set,
            )
        )
        for connection, text, event in zip(connections, _texts(settings), begun, strict=True)
    ]
    await _wait_all(begun)
    killed_s = time.monotonic()
    os.kill(server.engine_pid(), signal.SIGKILL)
    asking = asyncio.create_task(_ask_until_answered(server, settings))
    replies = await asyncio.gather(*streams)
    answered_at_s = await asking
    for connection in connections:
        connection.close()
    return judge(replies, settings, killed_s, answered_at_s)


def judge(
    replies: Sequence[Reply], settings: CrashSettings, killed_s: float, answered_at_s: float | None
) -> CrashResults:
    """Hold what came against the limits."""
    others = [
        reply.failure or f"status {reply.status}, ended with {reply.content[:120]!r}"
        for reply in replies
        if reply.failure is not None or not is_error_event(reply.content)
    ]
    last_end_s = max(reply.ended_s for reply in replies) - killed_s
    answered_s = None if answered_at_s is None else answered_at_s - killed_s
    faults = [f"stream: {other}" for other in others]
    if last_end_s > settings.end_limit_s:
        faults.append(f"the last stream ended {last_end_s:.2f} s after the kill")
    if answered_s is None or answered_s > settings.answer_limit_s:
        faults.append(f"no good answer within {settings.answer_limit_s:g} s of the kill")
    return CrashResults(
        streams=len(replies),
        error_events=len(replies) - len(others),
        other_ends=others,
        tokens_before=sum(len(reply.event_times_s) for reply in replies) - (len(replies) - len(others)),
        last_end_s=last_end_s,
        answered_s=answered_s,
        faults=faults,
    )


def _texts(settings: CrashSettings) -> list[str]:
    return make_texts(seed=f"{settings.seed}/crash", count=settings.streams, words=settings.prompt_words)


async def _wait_all(begun: Sequence[asyncio.Event]) -> None:
    try:
        async with asyncio.timeout(_FIRST_TOKENS_S):
            await asyncio.gather(*(event.wait() for event in begun))
    except TimeoutError as error:
        count = sum(event.is_set() for event in begun)
        raise BenchmarkError(
            f"only {count} of {len(begun)} streams had a token within {_FIRST_TOKENS_S:g} s"
        ) from error


async def _ask_until_answered(server: Server, settings: CrashSettings) -> float | None:
    """Give the time at which an answer was whole."""
    text = make_texts(seed=f"{settings.seed}/after", count=1, words=settings.prompt_words)[0]
    request = server.target.request("POST", "/generate", generate_body(text, max_new_tokens=_ANSWER_TOKENS))
    deadline_s = time.monotonic() + _ANSWER_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        connection = await Connection.open(server.target)
        reply = await connection.send(request, timeout_s=left_s)
        connection.close()
        if is_answer(reply):
            return reply.ended_s
        await asyncio.sleep(_ASK_AGAIN_S)
    return None

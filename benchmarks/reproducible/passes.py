"""Sends the check's requests to a server of its own, and sees what became of them."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import Connection, Reply, Target
from benchmarks.errors import BenchmarkError
from benchmarks.http_get import get
from benchmarks.reproducible.mixed import MixedRequest
from benchmarks.server import running_server

_TIMEOUT_S = 600.0
_PATH = "/generate"
_SHOWN_CHARACTERS = 200
_CANCELLED = re.compile(r'^tiber_requests_total\{[^}]*outcome="cancelled"[^}]*\} (\S+)$', re.MULTILINE)
# The server notices that a client is gone a moment later.
_NOTICED_S = 5.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """What to send, `load` requests at once; `reproducible` false shows that the check can fail."""

    requests: int
    load: int
    cache_gib: int
    seed: int
    reproducible: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What one request got; `logprobs` tell of differences too small to change a token."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    logprobs: tuple[float, ...]


@dataclass(slots=True)
class Seen:
    """What became of one pass' requests.

    `left` clients hung up before their answer; the server took note of `cancelled` of them. `cached_tokens`
    has an entry for each answer that tells how much of its prompt the prefix cache had.
    """

    answers: dict[int, Answered] = field(default_factory=dict)
    left: int = 0
    cancelled: int = 0
    cached_tokens: list[int] = field(default_factory=list)


def serve_pass(
    model: Path,
    settings: CheckSettings,
    requests: Sequence[MixedRequest],
    order: Sequence[int],
    *,
    load: int,
    prefix_caching: bool,
    advance: Callable[[], None],
) -> Seen:
    """Send the requests of these numbers to a fresh server; call `advance` after each that is answered.

    Raises:
        BenchmarkError: the server can't be started, or a request that stays is not answered.
    """
    with running_server(
        model,
        cache_gib=settings.cache_gib,
        prefix_caching=prefix_caching,
        reproducible=settings.reproducible,
        request_timeout_s=_TIMEOUT_S,
    ) as server:
        seen = asyncio.run(_send_all(server.target, requests, order, load, advance))
        seen.cancelled = _cancelled(server.target, seen.left)
    return seen


async def _send_all(
    target: Target,
    requests: Sequence[MixedRequest],
    order: Sequence[int],
    load: int,
    advance: Callable[[], None],
) -> Seen:
    waiting = list(reversed(order))
    seen = Seen()

    async def work() -> None:
        connection = await Connection.open(target)
        while waiting:
            number = waiting.pop()
            request = requests[number]
            sent = target.request("POST", _PATH, request.body)
            reply = await connection.send(sent, timeout_s=request.leaves_after_s or _TIMEOUT_S)
            if request.leaves_after_s is None:
                seen.answers[number] = read_answer(reply)
                seen.cached_tokens += cached_tokens(reply)
                advance()
            else:
                seen.left += reply.is_hung
            if reply.failure is not None:
                connection = await Connection.open(target)
        connection.close()

    await asyncio.gather(*(work() for _ in range(load)))
    return seen


def read_answer(reply: Reply) -> Answered:
    """Take an answer of /generate apart. Raises: BenchmarkError when it is none."""
    if reply.failure is not None or reply.status != 200:
        shown = reply.content[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        raise BenchmarkError(
            f"a request was not answered: {reply.failure or f'status {reply.status}: {shown}'}. "
            "Ask for less at once with --load, or give more cache with --cache-gib"
        )
    content = json.loads(reply.content)
    tokens = content["details"]["tokens"]
    return Answered(
        text=content["generated_text"],
        token_ids=tuple(token["id"] for token in tokens),
        finish_reason=content["details"]["finish_reason"],
        logprobs=tuple(token["logprob"] for token in tokens),
    )


def cached_tokens(reply: Reply) -> list[int]:
    """How many of the prompt's tokens the prefix cache had, where the answer tells: those are not scored.

    Of the others only the prompt's first has no log-probability, for it follows nothing.
    """
    prefill = json.loads(reply.content)["details"].get("prefill")
    if not prefill:
        return []
    return [max(0, sum(token["logprob"] is None for token in prefill) - 1)]


def _cancelled(target: Target, expected: int) -> int:
    """The server's own count of cancelled requests, once it has noticed `expected` or had time to."""
    deadline_s = time.monotonic() + _NOTICED_S
    while True:
        found = _CANCELLED.findall(get(target, "/metrics")[1].decode())
        count = sum(int(float(value)) for value in found)
        if count >= expected or time.monotonic() > deadline_s:
            return count
        time.sleep(_POLL_S)

"""Sends many requests at once: how many are answered, refused, hung."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from benchmarks.answers import is_answer, parse_object
from benchmarks.client import Connection, Reply, Target, open_connections
from benchmarks.workload import generate_body, make_texts

_INFO_TIMEOUT_S = 10.0
_ANSWERED = 200
_REFUSED = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstSettings:
    """What to send. A request without an answer after `timeout_s` counts as hung."""

    requests: int
    tokens: int
    prompt_words: int
    timeout_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstResults:
    """How the requests ended. `allowed` is how many the server says it takes at once; None if it doesn't.

    `statuses` counts answers by status. `broken` are connections that ended without one, and answers of
    status 200 without a text. Times are in seconds since the first request was sent.
    """

    requests: int
    allowed: int | None
    statuses: dict[int, int]
    hung: int
    broken: list[str]
    longest_s: float
    longest_refusal_s: float | None

    @property
    def is_exact(self) -> bool:
        """Whether as many as allowed were answered, and all others refused."""
        if self.allowed is None:
            return False
        answered = min(self.allowed, self.requests)
        wanted = {_ANSWERED: answered, _REFUSED: self.requests - answered}
        return self.statuses == {status: count for status, count in wanted.items() if count}

    @property
    def faults(self) -> list[str]:
        """All that a server must not do, however many come: hang, break off, answer neither 200 nor 429."""
        unexpected = {
            status: count for status, count in self.statuses.items() if status not in (_ANSWERED, _REFUSED)
        }
        return [
            *([f"{self.hung} hung"] if self.hung else []),
            *self.broken,
            *(f"{count} answers of status {status}" for status, count in sorted(unexpected.items())),
        ]


async def run_burst(target: Target, settings: BurstSettings) -> BurstResults:
    """Open every connection, then send every request. Raises: BenchmarkError when nobody listens."""
    allowed = await _read_allowed(target)
    texts = make_texts(seed=f"{settings.seed}/burst", count=settings.requests, words=settings.prompt_words)
    requests = [
        target.request("POST", "/generate", generate_body(text, max_new_tokens=settings.tokens))
        for text in texts
    ]
    connections = await open_connections(target, settings.requests)
    replies = await asyncio.gather(
        *(
            connection.send(request, timeout_s=settings.timeout_s)
            for connection, request in zip(connections, requests, strict=True)
        )
    )
    for connection in connections:
        connection.close()
    return summarise(replies, allowed)


def summarise(replies: list[Reply], allowed: int | None) -> BurstResults:
    """Count how the requests ended."""
    first_s = min(reply.sent_s for reply in replies)
    whole = [reply for reply in replies if reply.failure is None]
    refusals = [reply.ended_s - first_s for reply in whole if reply.status == _REFUSED]
    return BurstResults(
        requests=len(replies),
        allowed=allowed,
        statuses=dict(sorted(Counter(reply.status for reply in whole if reply.status is not None).items())),
        hung=sum(reply.is_hung for reply in replies),
        broken=[reply.failure for reply in replies if reply.failure is not None and not reply.is_hung]
        + [
            "status 200 without a text"
            for reply in whole
            if reply.status == _ANSWERED and not is_answer(reply)
        ],
        longest_s=max(reply.ended_s for reply in replies) - first_s,
        longest_refusal_s=max(refusals, default=None),
    )


async def _read_allowed(target: Target) -> int | None:
    connection = await Connection.open(target)
    reply = await connection.send(target.request("GET", "/info"), timeout_s=_INFO_TIMEOUT_S)
    connection.close()
    allowed = (parse_object(reply.content) or {}).get("max_concurrent_requests")
    return allowed if isinstance(allowed, int) else None

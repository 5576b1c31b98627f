"""Tells what became of each request; pure."""

from dataclasses import dataclass, field

from benchmarks.client import Reply
from benchmarks.traffic.dialects import Dialect, MalformedStreamError, StreamContent
from benchmarks.traffic.workloads import Ask

NOT_CONNECTED = "no connection"
MALFORMED = "malformed stream"
ERROR_EVENT = "error event"
SHORT = "short answer"
_QUEUE_HEADER = "x-queue-time"
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request does not count as answered: the kind that it is counted by, and what was seen."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request; times are seconds of the system's monotonic clock, `queue_s` is the server's own word.

    `chunk_times_s` has one entry for each event that carried something generated; the numbers of
    tokens are the server's, and None where it did not tell.
    """

    due_s: float
    sent_s: float
    ended_s: float
    chunk_times_s: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    queue_s: float | None = None
    failure: Failure | None = None


def unsent(due_s: float, now_s: float, reason: str) -> Sample:
    """A request that found no server."""
    failure = Failure(kind=NOT_CONNECTED, reason=reason)
    return Sample(due_s=due_s, sent_s=now_s, ended_s=now_s, failure=failure)


def judge(reply: Reply, ask: Ask, dialect: Dialect, *, due_s: float) -> Sample:
    """Read a reply that was asked for with its events."""
    content, failure = _read(reply, ask, dialect)
    return Sample(
        due_s=due_s,
        sent_s=reply.sent_s,
        ended_s=reply.ended_s,
        chunk_times_s=[reply.event_times_s[place] for place in content.carriers] if content else [],
        prompt_tokens=content.prompt_tokens if content else None,
        output_tokens=content.output_tokens if content else None,
        queue_s=_queue_s(reply),
        failure=failure,
    )


def _read(reply: Reply, ask: Ask, dialect: Dialect) -> tuple[StreamContent | None, Failure | None]:
    if reply.status is not None and reply.status != 200:
        shown = reply.content[:_SHOWN].decode("utf-8", "replace")
        return None, Failure(kind=f"status {reply.status}", reason=shown or "no body")
    try:
        content = dialect.read(reply.events)
    except MalformedStreamError as error:
        return None, Failure(kind=MALFORMED, reason=str(error))
    if reply.failure_kind is not None:
        return content, Failure(kind=reply.failure_kind, reason=reply.failure or "")
    return content, _fault(content, ask, dialect)


def _fault(content: StreamContent, ask: Ask, dialect: Dialect) -> Failure | None:
    if content.error is not None:
        return Failure(kind=ERROR_EVENT, reason=content.error)
    if not content.has_ended:
        return Failure(kind=MALFORMED, reason="the stream has no end of its own")
    if content.output_tokens is None:
        reason = (
            "the server told no number of tokens: a `usage`, or `details` (--extra '{\"details\": true}')"
        )
        return Failure(kind=MALFORMED, reason=reason)
    wanted = ask.output_tokens if dialect.ignore_eos else 1
    if content.output_tokens < wanted or not content.carriers:
        return Failure(
            kind=SHORT,
            reason=f"{content.output_tokens} tokens in {len(content.carriers)} events instead of {wanted}",
        )
    return None


def _queue_s(reply: Reply) -> float | None:
    try:
        return float(reply.headers[_QUEUE_HEADER]) / 1000
    except (KeyError, ValueError):
        return None

"""Measures whether slow clients slow down the others: good requests with and without them, in turns."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load
from benchmarks.answers import is_answer
from benchmarks.client import Reply
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.server import Server, running_server
from benchmarks.slow_clients import SlowClients, SlowJob, require_attack
from benchmarks.stats import Ratio, Spread, ratios, spread, summarise_ratios
from benchmarks.workload import generate_body, make_texts

_READY_S = 60.0
_ROUND_S = 600.0
_REQUEST_TIMEOUT_S = 60.0
# Until the slow readers' answers are made: what they cost the engine is any reader's cost.
_SETTLE_S = 4.0
_READER_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowlorisSettings:
    """What to measure: `requests` good ones a round and side, `concurrency` at once."""

    requests: int
    concurrency: int
    tokens: int
    prompt_words: int
    rounds: int
    seed: int
    slow_headers: int
    slow_bodies: int
    slow_readers: int


@dataclass(slots=True)
class Rounds:
    """Latencies of good requests in seconds, by round; how often slow sockets were opened."""

    quiet: list[list[float]] = field(default_factory=list)
    attacked: list[list[float]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    retried: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowlorisResults:
    """Latencies of good requests. The ratios are attacked over quiet, of each round's p50 or p99;
    `p99_ratio_of_all` is that of the requests of all rounds together."""

    slow_sockets: int
    slow_sockets_opened: list[int]
    quiet_s: Spread | None
    attacked_s: Spread | None
    p50_ratio: Ratio | None
    p99_ratio: Ratio | None
    p99_ratio_of_all: float | None
    quiet_p99_s: list[float]
    attacked_p99_s: list[float]
    retried: int
    faults: list[str]


class _Sides:
    """The server, the good client, the slow ones."""

    def __init__(self, server: Server, settings: SlowlorisSettings, stack: ExitStack) -> None:
        self._server = server
        self._settings = settings
        self._client: Peer[load.LoadJob, load.LoadResult] = Peer(load.serve)
        stack.callback(self._client.close)
        self._slow = SlowClients()
        stack.callback(self._slow.close)
        self._client.wait_ready(_READY_S)
        self._slow.wait_ready(_READY_S)

    def measure_quiet(self, turn: str, found: Rounds) -> None:
        found.quiet.append(self._measure(turn, found))

    def measure_attacked(self, turn: str, found: Rounds) -> None:
        settings = self._settings
        job = SlowJob(
            target=self._server.target,
            headers=settings.slow_headers,
            bodies=settings.slow_bodies,
            readers=settings.slow_readers,
            tokens=_READER_TOKENS,
        )
        self._slow.start(job)
        time.sleep(_SETTLE_S)
        found.attacked.append(self._measure(turn, found))
        result = self._slow.stop()
        require_attack(result, job)
        found.opened.append(result.opened)

    def _measure(self, turn: str, found: Rounds) -> list[float]:
        settings = self._settings
        texts = make_texts(
            seed=f"{settings.seed}/{turn}", count=settings.requests, words=settings.prompt_words
        )
        job = load.LoadJob(
            target=self._server.target,
            path="/generate",
            bodies=[generate_body(text, max_new_tokens=settings.tokens) for text in texts],
            concurrency=settings.concurrency,
            timeout_s=_REQUEST_TIMEOUT_S,
        )
        result = self._client.run(job, _ROUND_S)
        found.faults += faults_of(result.replies)
        found.retried += result.retried
        return [reply.ended_s - reply.sent_s for reply in result.replies if is_answer(reply)]


def measure_slowloris(
    model: Path, settings: SlowlorisSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> SlowlorisResults:
    """Measure both sides in turns; call `advance` after each of the `turns`.

    Raises:
        BenchmarkError: a process can't be started, or dies; the slow sockets can't be opened.
    """
    found = Rounds()
    with ExitStack() as stack:
        say("starting the server")
        sides = _Sides(stack.enter_context(running_server(model)), settings, stack)
        warm_up = Rounds()
        for measure in (sides.measure_quiet, sides.measure_attacked):
            measure("warm-up", warm_up)
            advance()
        if warm_up.faults:
            raise BenchmarkError(f"{len(warm_up.faults)} faults while warming up: {warm_up.faults[0]}")
        for number in range(settings.rounds):
            # By turns, so that neither side gains by what changes slowly.
            pair = [sides.measure_quiet, sides.measure_attacked]
            for measure in pair if number % 2 == 0 else reversed(pair):
                measure(f"round {number}", found)
                advance()
            say(_line(number + 1, settings.rounds, found))
    return summarise(found, slow_sockets=settings.slow_headers + settings.slow_bodies + settings.slow_readers)


def turns(settings: SlowlorisSettings) -> int:
    """How many measurements there will be, those of warming up included."""
    return 2 * (settings.rounds + 1)


def faults_of(replies: Sequence[Reply]) -> list[str]:
    """What went wrong with good requests."""
    return [
        reply.failure or f"status {reply.status} without a text" for reply in replies if not is_answer(reply)
    ]


def summarise(found: Rounds, *, slow_sockets: int) -> SlowlorisResults:
    """Put the rounds together."""
    quiet = [one for latencies in found.quiet if (one := spread(latencies))]
    attacked = [one for latencies in found.attacked if (one := spread(latencies))]
    all_quiet = spread([value for latencies in found.quiet for value in latencies])
    all_attacked = spread([value for latencies in found.attacked for value in latencies])
    is_whole = len(quiet) == len(attacked) == len(found.quiet)
    return SlowlorisResults(
        slow_sockets=slow_sockets,
        slow_sockets_opened=found.opened,
        quiet_s=all_quiet,
        attacked_s=all_attacked,
        p50_ratio=_ratio([one.p50 for one in attacked], [one.p50 for one in quiet]) if is_whole else None,
        p99_ratio=_ratio([one.p99 for one in attacked], [one.p99 for one in quiet]) if is_whole else None,
        p99_ratio_of_all=all_attacked.p99 / all_quiet.p99 if all_attacked and all_quiet else None,
        quiet_p99_s=[one.p99 for one in quiet],
        attacked_p99_s=[one.p99 for one in attacked],
        retried=found.retried,
        faults=found.faults,
    )


def _ratio(attacked: Sequence[float], quiet: Sequence[float]) -> Ratio | None:
    return summarise_ratios(ratios(attacked, quiet))


def _line(number: int, rounds: int, found: Rounds) -> str:
    quiet, attacked = spread(found.quiet[-1]), spread(found.attacked[-1])
    if quiet is None or attacked is None:
        return f"round {number}/{rounds}: no answers"
    return (
        f"round {number}/{rounds}: p50 {1000 * quiet.p50:.0f} ms, {1000 * attacked.p50:.0f} attacked; "
        f"p99 {1000 * quiet.p99:.0f} ms, {1000 * attacked.p99:.0f} attacked"
    )

"""Measures what arriving pictures cost streams of text: alone, beside texts, beside pictures, in turns."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load
from benchmarks.arrivals import ArrivalJob, Arrivals
from benchmarks.client import Reply
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.pictures import picture_bodies
from benchmarks.server import Server, running_server
from benchmarks.stats import Ratio, Spread, gaps, percentile, ratios, spread, summarise_ratios
from benchmarks.workload import generate_body, make_texts

ALONE, TEXTS, PICTURES = SIDES = ("alone", "beside texts", "beside pictures")
_READY_S = 60.0
_ROUND_S = 600.0
_TIMEOUT_S = 120.0
# As many different arrivals as a round may need; more would only take time to draw.
_DIFFERENT = 32
_PATH = "/generate_stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionSettings:
    """What to measure: `streams` of exactly `tokens` tokens, and arrivals of `arrival_tokens` beside them."""

    streams: int
    tokens: int
    prompt_words: int
    arrivals_per_s: float
    arrival_tokens: int
    picture_side: int
    rounds: int
    cache_gib: int
    seed: int


@dataclass(slots=True)
class Side:
    """What was seen on one side: streams' gaps between tokens in seconds by round, arrivals' first tokens."""

    gaps_s: list[list[float]] = field(default_factory=list)
    first_tokens_s: list[float] = field(default_factory=list)
    retried: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResult:
    """One side in short; the ratios are to the streams alone, of each round's p50 or p99."""

    itl_s: Spread | None
    round_p50_s: list[float]
    round_p99_s: list[float]
    p50_ratio: Ratio | None
    p99_ratio: Ratio | None
    arrival_ttft_s: Spread | None
    retried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionResults:
    """All sides, by name."""

    sides: dict[str, SideResult]
    faults: list[str]


class _Bench:
    """The server, the streams' client, and what arrives meanwhile."""

    def __init__(self, server: Server, settings: VisionSettings, stack: ExitStack) -> None:
        self._server = server
        self._settings = settings
        self._streams: Peer[load.LoadJob, load.LoadResult] = Peer(load.serve)
        stack.callback(self._streams.close)
        self._arrivals = Arrivals()
        stack.callback(self._arrivals.close)
        self._streams.wait_ready(_READY_S)
        self._arrivals.wait_ready(_READY_S)

    def measure(self, name: str, turn: str, side: Side) -> None:
        settings = self._settings
        job = load.LoadJob(
            target=self._server.target,
            path=_PATH,
            bodies=_text_bodies(f"{settings.seed}/{turn}/streams", settings.streams, settings),
            concurrency=settings.streams,
            timeout_s=_TIMEOUT_S,
        )
        bodies = self._bodies(name, f"{settings.seed}/{turn}/{name}")
        if bodies:
            self._arrivals.start(self._arrival_job(bodies))
        result = self._streams.run(job, _ROUND_S)
        replies = result.replies
        side.retried += result.retried
        arrived = self._arrivals.stop() if bodies else []
        side.faults += [fault for reply in replies if (fault := fault_of(reply, settings.tokens))]
        side.faults += [fault for reply in arrived if (fault := fault_of(reply, settings.arrival_tokens))]
        side.gaps_s.append([gap for reply in replies for gap in gaps(reply.event_times_s)])
        side.first_tokens_s += [
            reply.event_times_s[0] - reply.sent_s for reply in arrived if reply.event_times_s
        ]

    def _bodies(self, name: str, seed: str) -> list[bytes]:
        settings = self._settings
        if name == PICTURES:
            return picture_bodies(
                seed=seed, count=_DIFFERENT, side=settings.picture_side, tokens=settings.arrival_tokens
            )
        return _text_bodies(seed, _DIFFERENT, settings, settings.arrival_tokens) if name == TEXTS else []

    def _arrival_job(self, bodies: list[bytes]) -> ArrivalJob:
        return ArrivalJob(
            target=self._server.target,
            path=_PATH,
            bodies=bodies,
            interval_s=1 / self._settings.arrivals_per_s,
            timeout_s=_TIMEOUT_S,
        )


def measure_vision(
    model: Path, settings: VisionSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> VisionResults:
    """Measure all sides in turns; call `advance` after each of the `turns`.

    Raises:
        BenchmarkError: a process can't be started, or dies, or nothing is answered.
    """
    found = {name: Side() for name in SIDES}
    with ExitStack() as stack:
        say("starting the server")
        server = stack.enter_context(running_server(model, cache_gib=settings.cache_gib))
        bench = _Bench(server, settings, stack)
        for name in SIDES:
            warm_up = Side()
            bench.measure(name, "warm-up", warm_up)
            if warm_up.faults:
                raise BenchmarkError(f"{len(warm_up.faults)} faults while warming up: {warm_up.faults[0]}")
            advance()
        for number in range(settings.rounds):
            # Each round begins with another side, so that none gains by what changes slowly.
            first = number % len(SIDES)
            for name in (*SIDES[first:], *SIDES[:first]):
                bench.measure(name, f"round {number}", found[name])
                advance()
            say(_line(number + 1, settings.rounds, found))
    return summarise(found)


def turns(settings: VisionSettings) -> int:
    """How many measurements there will be, those of warming up included."""
    return len(SIDES) * (settings.rounds + 1)


def fault_of(reply: Reply, tokens: int) -> str | None:
    """What is wrong with a stream of exactly `tokens` tokens; None when all is well."""
    if reply.failure is not None or reply.status != 200:
        return reply.failure or f"status {reply.status}: {reply.content[:200].decode('utf-8', 'replace')}"
    events = len(reply.event_times_s)
    return None if events == tokens else f"{events} events instead of {tokens}"


def summarise(found: dict[str, Side]) -> VisionResults:
    """Put the rounds together."""
    alone = found[ALONE]
    return VisionResults(
        sides={name: _side_result(side, alone) for name, side in found.items()},
        faults=[f"{name}: {fault}" for name, side in found.items() for fault in side.faults],
    )


def _side_result(side: Side, alone: Side) -> SideResult:
    return SideResult(
        itl_s=spread([gap for round_gaps in side.gaps_s for gap in round_gaps]),
        round_p50_s=_percentiles(side, 50),
        round_p99_s=_percentiles(side, 99),
        p50_ratio=_ratio(side, alone, 50),
        p99_ratio=_ratio(side, alone, 99),
        arrival_ttft_s=spread(side.first_tokens_s),
        retried=side.retried,
    )


def _percentiles(side: Side, percent: float) -> list[float]:
    return [percentile(round_gaps, percent) for round_gaps in side.gaps_s if round_gaps]


def _ratio(side: Side, alone: Side, percent: float) -> Ratio | None:
    above, below = _percentiles(side, percent), _percentiles(alone, percent)
    if side is alone or len(above) != len(below):
        return None
    return summarise_ratios(ratios(above, below))


def _text_bodies(seed: str, count: int, settings: VisionSettings, tokens: int | None = None) -> list[bytes]:
    texts: Sequence[str] = make_texts(seed=seed, count=count, words=settings.prompt_words)
    return [generate_body(text, max_new_tokens=tokens or settings.tokens) for text in texts]


def _line(number: int, rounds: int, found: dict[str, Side]) -> str:
    last = {name: one for name, side in found.items() if (one := spread(side.gaps_s[-1]))}
    shown = ", ".join(f"{name} {1000 * one.p50:.0f} / {1000 * one.p99:.0f} ms" for name, one in last.items())
    return f"round {number}/{rounds}: between tokens, p50 / p99: {shown}"

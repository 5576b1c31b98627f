"""Measures what reproducible mode costs: its tokens per second over those of the usual settings, in turns."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.answers import stream_fault
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.server import Server, running_server
from benchmarks.stats import Ratio, median, ratios, summarise_ratios
from benchmarks.workload import Prompt, generate_body, make_texts, tokenise

_READY_S = 60.0
_ROUND_S = 600.0
_PATH = "/generate_stream"
# A single short request says little.
_LEAST_REQUESTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSettings:
    """What to measure: `concurrency` streams at once of exactly `tokens` tokens each."""

    concurrencies: tuple[int, ...]
    tokens: int
    prompt_words: int
    rounds: int
    cache_gib: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyCost:
    """What came of one concurrency, in tokens/s by round; `ratio` is reproducible over usual."""

    concurrency: int
    reproducible_tokens_per_s: list[float]
    usual_tokens_per_s: list[float]
    reproducible_median: float
    usual_median: float
    ratio: Ratio | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostResults:
    """All of it."""

    by_concurrency: list[ConcurrencyCost]


def measure_cost(
    model: Path, settings: CostSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> CostResults:
    """Measure two servers in turns; call `advance` after each of the `turns`.

    Raises:
        BenchmarkError: a server can't be started, or a stream is not whole.
    """
    with ExitStack() as stack:
        say("starting two servers")
        servers = [
            stack.enter_context(running_server(model, cache_gib=settings.cache_gib, reproducible=mode))
            for mode in (True, False)
        ]
        client: Peer[load.LoadJob, load.LoadResult] = Peer(load.serve)
        stack.callback(client.close)
        client.wait_ready(_READY_S)
        results = []
        for concurrency in settings.concurrencies:
            found: list[list[float]] = [[], []]
            for number in range(settings.rounds + 1):
                prompts = _prompts(model, settings, concurrency, number)
                # Whoever begins a round may gain by it: they take turns at that, too.
                for side in (0, 1) if number % 2 else (1, 0):
                    speed = _measure(client, servers[side], settings, prompts, concurrency)
                    if number:
                        found[side].append(speed)
                    advance()
            results.append(_summarise(concurrency, *found))
            say(f"{concurrency} at once: {[f'{a / b:.2f}' for a, b in zip(*found, strict=True)]}")
    return CostResults(by_concurrency=results)


def turns(settings: CostSettings) -> int:
    """How many measurements there will be, those of warming up included."""
    return 2 * (settings.rounds + 1) * len(settings.concurrencies)


def _prompts(model: Path, settings: CostSettings, concurrency: int, number: int) -> list[Prompt]:
    count = concurrency * -(-_LEAST_REQUESTS // concurrency)
    seed = f"{settings.seed}/{concurrency}/{number}"
    return tokenise(model, make_texts(seed=seed, count=count, words=settings.prompt_words))


def _measure(
    client: "Peer[load.LoadJob, load.LoadResult]",
    server: Server,
    settings: CostSettings,
    prompts: list[Prompt],
    concurrency: int,
) -> float:
    """Tokens/s from the first request sent to the last token received."""
    job = load.LoadJob(
        target=server.target,
        path=_PATH,
        bodies=[generate_body(prompt.text, max_new_tokens=settings.tokens) for prompt in prompts],
        concurrency=concurrency,
        timeout_s=_ROUND_S,
    )
    result = client.run(job, _ROUND_S)
    if result.retried:
        raise BenchmarkError(f"the server hung up on {result.retried} streams, which were sent again")
    replies = result.replies
    for reply, prompt in zip(replies, prompts, strict=True):
        if fault := stream_fault(reply, tokens=settings.tokens, prompt_tokens=len(prompt.token_ids)):
            raise BenchmarkError(f"a stream is not whole: {fault}")
    began_s = min(reply.sent_s for reply in replies)
    ended_s = max(reply.event_times_s[-1] for reply in replies)
    return sum(len(reply.event_times_s) for reply in replies) / (ended_s - began_s)


def _summarise(concurrency: int, reproducible: list[float], usual: list[float]) -> ConcurrencyCost:
    return ConcurrencyCost(
        concurrency=concurrency,
        reproducible_tokens_per_s=reproducible,
        usual_tokens_per_s=usual,
        reproducible_median=median(reproducible),
        usual_median=median(usual),
        ratio=summarise_ratios(ratios(reproducible, usual)),
    )

"""Measures what the size of an engine step does to streams beside long prompts, and to those prompts."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import chunk_engine
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.stats import Spread, spread
from benchmarks.workload import make_texts, tokenise
from service.bootstrap import engine_config
from service.engine.config import EngineConfig
from service.manifest import read_manifest
from service.settings import ModelSettings

_LOAD_S = 300.0
_ROUND_S = 600.0
_STREAM_WORDS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSettings:
    """What to measure: `arrivals` prompts of `prompt_words` words beside `streams` streams, for each size."""

    max_batched_tokens: tuple[int, ...]
    streams: int
    arrivals: int
    interval_s: float
    arrival_tokens: int
    prompt_words: int
    rounds: int
    cache_gib: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeResult:
    """One size of step. Times in seconds, of all rounds."""

    max_batched_tokens: int
    itl_s: Spread | None
    ttft_s: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResults:
    """All sizes."""

    sizes: list[SizeResult]
    faults: list[str]


@dataclass(slots=True)
class _Seen:
    """What one size's rounds brought."""

    itl_s: list[float] = field(default_factory=list)
    ttft_s: list[float] = field(default_factory=list)


def chunk_config(model: Path, settings: ChunkSettings) -> EngineConfig:
    """The engine as the service would run it by default. Raises: ModelFolderError."""
    return engine_config(ModelSettings(path=model, cache_gib=settings.cache_gib), read_manifest(model).device)


def measure_chunks(
    model: Path,
    config: EngineConfig,
    settings: ChunkSettings,
    *,
    advance: Callable[[], None],
    say: Callable[[str], None],
) -> ChunkResults:
    """Measure the sizes in turns; call `advance` after each measurement.

    Raises:
        BenchmarkError: an engine can't be started, or dies.
    """
    seen = {size: _Seen() for size in settings.max_batched_tokens}
    faults: list[str] = []
    with ExitStack() as stack:
        say(f"loading the engine {len(seen)} times")
        peers: dict[int, Peer[chunk_engine.ChunkJob, chunk_engine.ChunkResult]] = {}
        for size in seen:
            peers[size] = Peer(chunk_engine.serve, replace(config, max_batched_tokens=size))
            stack.callback(peers[size].close)
            peers[size].wait_ready(_LOAD_S)
        for turn in range(settings.rounds):
            for size, peer in peers.items():
                result = peer.run(_job(model, settings, turn), _ROUND_S)
                seen[size].itl_s += result.itl_s
                seen[size].ttft_s += result.ttft_s
                faults += result.failures
                advance()
    if not all(one.itl_s for one in seen.values()):
        raise BenchmarkError("no stream got a token while prompts arrived: ask for more --arrivals")
    return ChunkResults(
        sizes=[
            SizeResult(max_batched_tokens=size, itl_s=spread(one.itl_s), ttft_s=spread(one.ttft_s))
            for size, one in seen.items()
        ],
        faults=faults,
    )


def _job(model: Path, settings: ChunkSettings, turn: int) -> chunk_engine.ChunkJob:
    """The same prompts for each size, no two rounds' alike."""
    seed = f"{settings.seed}/{turn}"
    streams = make_texts(seed=f"{seed}/streams", count=settings.streams, words=_STREAM_WORDS)
    arrivals = make_texts(seed=f"{seed}/arrivals", count=settings.arrivals, words=settings.prompt_words)
    ids = [prompt.token_ids for prompt in tokenise(model, [*streams, *arrivals])]
    return chunk_engine.ChunkJob(
        streams=ids[: settings.streams],
        arrivals=ids[settings.streams :],
        interval_s=settings.interval_s,
        arrival_tokens=settings.arrival_tokens,
    )

"""The two sides of a comparison: the service over HTTP, and the bare engine; one busy at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import health, load, raw
from benchmarks.answers import stream_fault
from benchmarks.client import Reply
from benchmarks.cpu import CpuMeter, CpuTime
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.server import Server
from benchmarks.stats import gaps
from benchmarks.workload import Prompt, generate_body, make_texts, tokenise
from service.engine.config import EngineConfig

# Requests of one measurement at the least: a single short one says little.
_LEAST_REQUESTS = 3
_LOAD_S = 300.0
# CPU that a waiting side may take, of one core; the kernel counts in hundredths of a second.
_MOST_IDLE_SHARE = 0.03
_MOST_IDLE_S = 0.03
# Far above the service's own default: slow models must not fail here.
REQUEST_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadSettings:
    """What to measure. When it is watched, the service is probed on /health `probes_per_s` times a second if
    it is loaded with `probed_from` streams or more."""

    concurrencies: tuple[int, ...]
    tokens: int
    prompt_words: int
    rounds: int
    cache_gib: int
    seed: int
    probes_per_s: float
    probed_from: int

    def requests(self, concurrency: int) -> int:
        """How many requests one measurement has."""
        return concurrency * -(-_LEAST_REQUESTS // concurrency)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRound:
    """One measurement of the bare engine, from before its first request until its last token."""

    tokens: int
    wall_s: float
    cpu: CpuTime
    faults: list[str]

    @property
    def tokens_per_s(self) -> float:
        """Throughput."""
        return self.tokens / self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRound:
    """One measurement of the service, from the first request sent to the last token received.

    `itl_s` and `health_s` are there if it was watched.
    """

    tokens: int
    wall_s: float
    ttft_s: list[float]
    itl_s: list[float]
    health_s: list[float]
    cpu: CpuTime
    retried: int
    faults: list[str]

    @property
    def tokens_per_s(self) -> float:
        """Throughput."""
        return self.tokens / self.wall_s


class Bench:
    """The server, the bare engine, the client and the probe: one of the first two busy at a time."""

    def __init__(self, model: Path, settings: OverheadSettings, server: Server, config: EngineConfig) -> None:
        self._model = model
        self._settings = settings
        self._server = server
        self._raw: Peer[raw.RawJob, raw.RawResult] = Peer(raw.serve, config)
        self._client: Peer[load.LoadJob, load.LoadResult] = Peer(load.serve)
        self._probe = health.HealthProbe()
        self._meter = CpuMeter(
            api_pid=server.pid,
            engine_pid=server.engine_pid(),
            raw_pid=self._raw.pid,
            client_pid=self._client.pid,
            probe_pid=self._probe.pid,
        )

    def wait_ready(self) -> None:
        """Wait until every process is. Raises: BenchmarkError when one can't be."""
        for part in (self._raw, self._client, self._probe):
            part.wait_ready(_LOAD_S)

    def close(self) -> None:
        """End every process but the server."""
        for part in (self._raw, self._client, self._probe):
            part.close()

    def prompts(self, concurrency: int, turn: int | str) -> list[Prompt]:
        """The prompts of one turn: the same for both sides, no other turn's."""
        texts = make_texts(
            seed=f"{self._settings.seed}/{concurrency}/{turn}",
            count=self._settings.requests(concurrency),
            words=self._settings.prompt_words,
        )
        return tokenise(self._model, texts)

    def measure_raw(self, prompts: Sequence[Prompt], concurrency: int) -> RawRound:
        """Run the prompts on the bare engine. Raises: BenchmarkError when it dies."""
        tokens = self._settings.tokens
        job = raw.RawJob(
            prompts=[prompt.token_ids for prompt in prompts], max_new_tokens=tokens, concurrency=concurrency
        )
        before = self._meter.read()
        result = self._raw.run(job, REQUEST_TIMEOUT_S)
        cpu = self._meter.read().since(before)
        wrong = [count for count in result.token_counts if count != tokens]
        return RawRound(
            tokens=sum(result.token_counts),
            wall_s=result.wall_s,
            cpu=cpu,
            faults=[
                *(f"raw: {count} tokens instead of {tokens}" for count in wrong),
                *_idle_faults("server", cpu.api_s + cpu.engine_s, result.wall_s),
            ],
        )

    def measure_served(
        self, prompts: Sequence[Prompt], concurrency: int, *, is_watched: bool = False
    ) -> ServedRound:
        """Stream the prompts from the server, by a client that sleeps between first event and end.

        One that is watched has a client that takes the time of each event, and probes of /health.

        Raises:
            BenchmarkError: the server or the client dies.
        """
        job = load.LoadJob(
            target=self._server.target,
            path="/generate_stream",
            bodies=[generate_body(prompt.text, max_new_tokens=self._settings.tokens) for prompt in prompts],
            concurrency=concurrency,
            timeout_s=REQUEST_TIMEOUT_S,
            sleeps=not is_watched,
        )
        before = self._meter.read()
        is_probed = is_watched and concurrency >= self._settings.probed_from
        with self._probing() if is_probed else nullcontext(health.ProbeResult()) as probed:
            result = self._client.run(job, REQUEST_TIMEOUT_S + _LOAD_S)
        cpu = self._meter.read().since(before)
        tokens = self._settings.tokens
        found = _served_round(result.replies, prompts, tokens=tokens, probed=probed, cpu=cpu)
        return found if is_watched else replace(found, itl_s=[])

    @contextmanager
    def _probing(self) -> Iterator[health.ProbeResult]:
        """Probe meanwhile; what is given fills at the end."""
        probed = health.ProbeResult()
        self._probe.start(
            health.ProbeJob(target=self._server.target, interval_s=1 / self._settings.probes_per_s)
        )
        yield probed
        found = self._probe.stop()
        probed.latencies_s += found.latencies_s
        probed.failures += found.failures


def _served_round(
    replies: Sequence[Reply],
    prompts: Sequence[Prompt],
    *,
    tokens: int,
    probed: health.ProbeResult,
    cpu: CpuTime,
) -> ServedRound:
    faults = [
        f"stream: {fault}"
        for reply, prompt in zip(replies, prompts, strict=True)
        if (fault := stream_fault(reply, tokens=tokens, prompt_tokens=len(prompt.token_ids)))
    ]
    streams = [reply for reply in replies if reply.event_times_s]
    if not streams:
        raise BenchmarkError(f"no stream brought a token; the first: {faults[0]}")
    first_s = min(reply.sent_s for reply in replies)
    last_s = max(reply.event_times_s[-1] for reply in streams)
    return ServedRound(
        tokens=sum(len(reply.event_times_s) for reply in streams),
        wall_s=last_s - first_s,
        ttft_s=[reply.event_times_s[0] - reply.sent_s for reply in streams],
        itl_s=[gap for reply in streams for gap in gaps(reply.event_times_s)],
        health_s=probed.latencies_s,
        cpu=cpu,
        retried=sum(reply.was_retried for reply in replies),
        faults=[
            *faults,
            *(f"/health: {failure}" for failure in probed.failures),
            *_idle_faults("bare engine", cpu.raw_s, last_s - first_s),
        ],
    )


def _idle_faults(who: str, cpu_s: float, wall_s: float) -> list[str]:
    """Tell of a waiting side that took CPU from the busy one."""
    if cpu_s <= max(_MOST_IDLE_S, _MOST_IDLE_SHARE * wall_s):
        return []
    return [f"the waiting {who} took {cpu_s:.2f} s of CPU in {wall_s:.2f} s"]

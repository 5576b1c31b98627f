"""Runs streams and arriving long prompts on the service's own backend, in a process of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from benchmarks.peer import serve_jobs
from service.domain import GenerationRequest, Sampling
from service.engine.config import EngineConfig
from service.engine.protocol import Backend, Done, Failed, TokenDelta
from service.engine.registry import load_backend

# More than a stream gets in one job: it runs until the last arrival has its answer.
_ENDLESS_TOKENS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkJob:
    """Token ids of prompts: `streams` decode all the time, `arrivals` come one each `interval_s`."""

    streams: list[list[int]]
    arrivals: list[list[int]]
    interval_s: float
    arrival_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """Seconds between the streams' tokens while prompts arrived, and from each arrival to its first token."""

    itl_s: list[float]
    ttft_s: list[float]
    failures: list[str]


class _Run:
    """One job on a backend without requests."""

    def __init__(self, backend: Backend, job: ChunkJob) -> None:
        self._backend = backend
        self._job = job
        self._last_s: dict[int, float] = {}
        self._due_s: dict[int, float] = {}
        self._itl_s: list[float] = []
        self._ttft_s: dict[int, float] = {}
        self._ended: set[int] = set()
        self._failures: list[str] = []

    def result(self) -> ChunkResult:
        streams = range(len(self._job.streams))
        for request_id in streams:
            self._add(request_id, self._job.streams[request_id], _ENDLESS_TOKENS)
        while len(self._last_s) < len(streams):
            self._step(counts=False)
        self._arrivals(len(streams))
        for request_id in streams:
            self._backend.cancel(request_id)
        while self._backend.running():
            self._backend.step()
        return ChunkResult(itl_s=self._itl_s, ttft_s=list(self._ttft_s.values()), failures=self._failures)

    def _arrivals(self, first_id: int) -> None:
        begin_s = time.monotonic()
        count = len(self._job.arrivals)
        added = 0
        while len(self._ended) < count:
            while added < count and time.monotonic() >= begin_s + added * self._job.interval_s:
                self._due_s[first_id + added] = begin_s + added * self._job.interval_s
                self._add(first_id + added, self._job.arrivals[added], self._job.arrival_tokens)
                added += 1
            self._step(counts=True)

    def _add(self, request_id: int, prompt_ids: list[int], tokens: int) -> None:
        sampling = Sampling(max_new_tokens=tokens, ignore_eos=True)
        self._backend.add(request_id, GenerationRequest(prompt_ids=prompt_ids, sampling=sampling))

    def _step(self, *, counts: bool) -> None:
        events = self._backend.step()
        now_s = time.monotonic()
        for event in events:
            if isinstance(event, TokenDelta):
                self._note(event.request_id, now_s, counts=counts)
            elif isinstance(event, Done | Failed):
                self._ended.add(event.request_id)
                if isinstance(event, Failed) or event.request_id not in self._due_s:
                    self._failures.append(f"request {event.request_id} ended early: {event}")

    def _note(self, request_id: int, now_s: float, *, counts: bool) -> None:
        if request_id in self._due_s:
            self._ttft_s.setdefault(request_id, now_s - self._due_s[request_id])
            return
        if counts and request_id in self._last_s:
            self._itl_s.append(now_s - self._last_s[request_id])
        self._last_s[request_id] = now_s


def serve(pipe: Pipe, config: EngineConfig) -> None:
    """Load the model; do jobs until the pipe closes."""

    def prepare() -> Callable[[ChunkJob], ChunkResult]:
        backend = load_backend(config)
        return lambda job: _Run(backend, job).result()

    serve_jobs(pipe, prepare)

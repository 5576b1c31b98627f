"""Runs the bare engine, without any service around it, in a process of its own."""

import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

import numpy as np
import openvino
import openvino_genai as genai

from benchmarks.errors import BenchmarkError
from benchmarks.peer import serve_jobs
from service.engine.backends.openvino import end_tokens, load_pipeline, set_prompt_lookup
from service.engine.config import EngineConfig

_GOES_ON = genai.GenerationFinishReason.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class RawJob:
    """Prompts as token ids, `concurrency` of them in the engine at a time."""

    prompts: list[list[int]]
    max_new_tokens: int
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResult:
    """`wall_s` is from before the first request was added until the last token was read.

    `reads` counts how often a request got tokens: in one step each, several where they were guessed ahead.
    """

    wall_s: float
    token_counts: list[int]
    reads: int


class RawEngine:
    """The service's own pipeline, without anything around it."""

    def __init__(self, config: EngineConfig) -> None:
        if config.backend != "openvino":
            raise BenchmarkError(f"the bare engine is OpenVINO's; this model's backend is {config.backend!r}")
        self._config = config
        self._pipeline = load_pipeline(config)
        self._last_id = 0

    def run(self, job: RawJob) -> RawResult:
        """Generate for every prompt of the job."""
        config = self._generation_config(job.max_new_tokens)
        waiting = deque(openvino.Tensor(np.array([ids], dtype=np.int64)) for ids in job.prompts)
        handles: dict[int, genai.GenerationHandle] = {}
        counts: dict[int, int] = {}
        reads = 0
        started_s = time.monotonic()
        while waiting or handles:
            while waiting and len(handles) < job.concurrency:
                self._last_id += 1
                counts[self._last_id] = 0
                handles[self._last_id] = self._pipeline.add_request(self._last_id, waiting.popleft(), config)
            self._pipeline.step()
            for request_id, handle in list(handles.items()):
                added, has_ended = _read(handle)
                counts[request_id] += added
                reads += added > 0
                if has_ended:
                    del handles[request_id]
        return RawResult(
            wall_s=time.monotonic() - started_s,
            token_counts=list(counts.values()),
            reads=reads,
        )

    def _generation_config(self, max_new_tokens: int) -> "genai.GenerationConfig":
        config = genai.GenerationConfig()
        eos_token_id, config.stop_token_ids = end_tokens(self._pipeline, self._config)
        config.set_eos_token_id(eos_token_id)
        config.max_new_tokens = max_new_tokens
        config.ignore_eos = True
        config.do_sample = False
        if self._config.prompt_lookup is not None:
            set_prompt_lookup(config, self._config.prompt_lookup)
        config.validate()
        return config


def _read(handle: "genai.GenerationHandle") -> tuple[int, bool]:
    """Give the number of new tokens, and whether they were the last; read as the service's backend does."""
    if handle.can_read():
        output = next(iter(handle.read().values()))
        return len(output.generated_ids), output.finish_reason != _GOES_ON
    return 0, handle.get_status() == genai.GenerationStatus.IGNORED


def serve(pipe: Pipe, config: EngineConfig) -> None:
    """Load the model; do raw jobs until the pipe closes."""
    serve_jobs(pipe, lambda: RawEngine(config).run)

"""Tries grammars on a model too small to matter, with the very compiler the real engine uses.

A grammar that the compiler refuses passes the engine's own checks, then makes every later step of that
pipeline raise, for all its requests. Here it costs nothing: the pipeline is thrown away.
"""

import os
import re
import resource
import shutil
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai
import psutil

from service.domain import GenerationRequest, Grammar
from service.engine.backends.openvino import structured_output
from service.engine.backends.tiny_model import build_tiny_model
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed
from service.errors import ValidationError

_COPIED = ("openvino_tokenizer.*", "openvino_detokenizer.*", "config.json", "generation_config.json")
_CACHE_BLOCKS = 16
# What this process may take for all grammars, in bytes. The one that goes beyond ends it, and is refused.
_MOST_BYTES = 1 << 30
# The compiler keeps what it compiled: above so many bytes of it the pipeline is made anew.
_MOST_KEPT_BYTES = 256 << 20
# The compiler's own number of threads.
_MOST_THREADS = 8
# How long the engine may stand still for a grammar, which it compiles within a step.
_MOST_COMPILE_S = 0.75
_MOST_REASON_CHARACTERS = 300
# The compiler's messages begin with a time and a place in its own source.
_SOURCE_PLACE = re.compile(r"^.*\.(?:cc|cpp|h):\d+:\s", re.DOTALL)
_WARM_UP = Grammar(kind="regex", value="[a-z]*")


class OpenVINOGrammarBackend:
    """A Backend whose requests end well when the engine can follow their grammar, and fail when it can't."""

    def __init__(self, config: EngineConfig) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tiber-serve-grammar-"))
        source = Path(config.model_path)
        for pattern in _COPIED:
            for file in source.glob(pattern):
                (self._folder / file.name).symlink_to(file)
        logits = openvino.Core().read_model(_decoder(source)).output("logits")
        openvino.save_model(
            build_tiny_model(logits.get_partial_shape()[-1].get_length()),
            self._folder / "openvino_model.xml",
        )
        self._process = psutil.Process()
        self._threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        self._load()
        self._limit_memory()
        self._waiting: deque[tuple[int, GenerationRequest]] = deque()

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Queue the request's grammar."""
        self._waiting.append((request_id, request))

    def cancel(self, request_id: int) -> None:
        """Forget a queued grammar."""
        self._waiting = deque(item for item in self._waiting if item[0] != request_id)

    def step(self) -> list[EngineEvent]:
        """Try one grammar."""
        if not self._waiting:
            return []
        request_id, request = self._waiting.popleft()
        assert request.sampling.grammar is not None  # noqa: S101 - this backend's only kind of request
        reason = self._refusal(request_id, request.sampling.grammar)
        if reason is None:
            return [Done(request_id, "length")]
        return [Failed(request_id, reason[:_MOST_REASON_CHARACTERS], False)]

    def running(self) -> int:
        """Count queued grammars."""
        return len(self._waiting)

    def close(self) -> None:
        """Free the pipeline and its folder."""
        del self._pipeline
        shutil.rmtree(self._folder, ignore_errors=True)

    def _refusal(self, request_id: int, grammar: Grammar) -> str | None:
        """Why the engine can't follow this grammar; None when it can."""
        if self._process.memory_info().rss > self._bytes_at_start + _MOST_KEPT_BYTES:
            self._load()
        started_s = time.process_time()
        try:
            self._compile(request_id, grammar)
        except ValidationError as error:
            return error.message
        except RuntimeError as error:
            # This pipeline raises on every step from now on.
            self._load()
            return _SOURCE_PLACE.sub("", str(error)).strip()
        # Neither the wall clock, which other processes slow down, nor the sum over all threads.
        compile_s = (time.process_time() - started_s) / self._threads
        if compile_s > _MOST_COMPILE_S:
            return (
                f"it takes {compile_s:.1f} s, of at most {_MOST_COMPILE_S:g}; "
                "small repetition counts, such as `maxLength`, make it faster"
            )
        return None

    def _load(self) -> None:
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = _CACHE_BLOCKS
        self._pipeline = genai.ContinuousBatchingPipeline(str(self._folder), scheduler, "CPU", {})
        # The first grammar pays for what all need.
        self._compile(0, _WARM_UP)
        self._bytes_at_start = self._process.memory_info().rss

    def _limit_memory(self) -> None:
        """Make allocations fail instead of taking the machine's memory."""
        most = self._process.memory_info().data + _MOST_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        # No stack overflow leaves a core file as large as the process.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def _compile(self, request_id: int, grammar: Grammar) -> None:
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        config.ignore_eos = True
        config.set_eos_token_id(self._pipeline.get_config().eos_token_id)
        config.structured_output_config = structured_output(grammar)
        prompt = openvino.Tensor(np.array([[0]], dtype=np.int64))
        handle = self._pipeline.add_request(request_id, prompt, config)
        while not handle.can_read():
            self._pipeline.step()
        handle.read()


def _decoder(folder: Path) -> Path:
    """The model that gives logits: in a vision model's folder it is one among others."""
    of_vision = folder / "openvino_language_model.xml"
    return of_vision if of_vision.exists() else folder / "openvino_model.xml"

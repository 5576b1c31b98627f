"""Tries grammars on a model too small to matter, with the very compiler the real engine uses.

A grammar that the compiler refuses passes the engine's own checks, then makes every later step of that
pipeline raise, for all its requests. Here it costs nothing: the pipeline is thrown away.
"""

import re
import shutil
import tempfile
from collections import deque
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai

from service.domain import GenerationRequest
from service.engine.backends.openvino import structured_output
from service.engine.backends.tiny_model import build_tiny_model
from service.engine.config import EngineConfig
from service.engine.protocol import Done, EngineEvent, Failed

_COPIED = ("openvino_tokenizer.*", "openvino_detokenizer.*", "config.json", "generation_config.json")
_CACHE_BLOCKS = 16
# The compiler's messages begin with a time and a place in its own source.
_SOURCE_PLACE = re.compile(r"^.*\.(?:cc|cpp|h):\d+: ", re.DOTALL)


class OpenVINOGrammarBackend:
    """A Backend whose requests end well when their grammar compiles, and fail when it does not."""

    def __init__(self, config: EngineConfig) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tiber-serve-grammar-"))
        source = Path(config.model_path)
        for pattern in _COPIED:
            for file in source.glob(pattern):
                (self._folder / file.name).symlink_to(file)
        logits = openvino.Core().read_model(source / "openvino_model.xml").output("logits")
        openvino.save_model(
            build_tiny_model(logits.get_partial_shape()[-1].get_length()),
            self._folder / "openvino_model.xml",
        )
        self._pipeline = self._load()
        self._waiting: deque[tuple[int, GenerationRequest]] = deque()

    def add(self, request_id: int, request: GenerationRequest) -> None:
        """Queue the request's grammar."""
        self._waiting.append((request_id, request))

    def cancel(self, request_id: int) -> None:
        """Forget a queued grammar."""
        self._waiting = deque(item for item in self._waiting if item[0] != request_id)

    def step(self) -> list[EngineEvent]:
        """Compile one grammar."""
        if not self._waiting:
            return []
        request_id, request = self._waiting.popleft()
        try:
            self._compile(request_id, request)
        except RuntimeError as error:
            # This pipeline raises on every step from now on.
            self._pipeline = self._load()
            return [Failed(request_id, _SOURCE_PLACE.sub("", str(error)).strip()[:300], False)]
        return [Done(request_id, "length")]

    def running(self) -> int:
        """Count queued grammars."""
        return len(self._waiting)

    def close(self) -> None:
        """Free the pipeline and its folder."""
        del self._pipeline
        shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self) -> "genai.ContinuousBatchingPipeline":
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = _CACHE_BLOCKS
        return genai.ContinuousBatchingPipeline(str(self._folder), scheduler, "CPU", {})

    def _compile(self, request_id: int, request: GenerationRequest) -> None:
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        config.ignore_eos = True
        config.set_eos_token_id(self._pipeline.get_config().eos_token_id)
        assert request.sampling.grammar is not None  # noqa: S101 - this backend's only kind of request
        config.structured_output_config = structured_output(request.sampling.grammar)
        prompt = openvino.Tensor(np.array([[0]], dtype=np.int64))
        handle = self._pipeline.add_request(request_id, prompt, config)
        while not handle.can_read():
            self._pipeline.step()
        handle.read()

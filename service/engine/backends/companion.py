"""Keeps every step of the engine at two rows or more, so that each row is computed by the same kernels.

The CPU plugin multiplies a single row by another kernel than several: a request alone would get other last
bits than beside others, and now and then another token. From two rows on a row's bits don't depend on how
many there are (tried from 2 to 64). So a short endless request of our own runs beside the real ones.
"""

from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai

# More could wait behind each other's prompts; two is what its own first step needs.
_PROMPT_TEXT = "a a"
_PROMPT = openvino.Tensor(np.array([(1, 1)], dtype=np.int64))
_TOKENS = 512
# The next one begins long before the last one ends: its prompt may have to wait for others' prompts.
_OVERLAP_TOKENS = 256
# No request of the service's has a number so high.
_FIRST_ID = 1 << 62
MOST_AT_ONCE = 2
MOST_TOKENS = MOST_AT_ONCE * (_TOKENS + 64)
"""What the companions take of the KV cache, at most."""

# Long enough that a partly empty block of its counts for little.
_PROBE_TEXT = "a" + " a" * 479
_PROBE_TOKENS = 4


class Companion:
    """Requests whose answers nobody reads, in the pipeline for as long as real ones are."""

    def __init__(self, pipeline: "genai.ContinuousBatchingPipeline", model: Path) -> None:
        self._pipeline = pipeline
        self._sees = (model / "openvino_language_model.xml").exists()
        self._next_id = _FIRST_ID
        # With the number of tokens that each has given, the oldest first.
        self._handles: dict[int, tuple[genai.GenerationHandle, int]] = {}

    def join(self) -> None:
        """See that one runs; to be called before a step, and before its first request is added."""
        newest = list(self._handles.values())[-1:]
        if not newest or newest[0][1] > _TOKENS - _OVERLAP_TOKENS:
            handle = self._request(_PROMPT_TEXT, _PROMPT, max_new_tokens=_TOKENS)
            self._handles[self._next_id] = (handle, 0)

    def read(self) -> None:
        """Throw away what the last step gave."""
        for request_id, (handle, tokens) in list(self._handles.items()):
            if handle.can_read():
                output = next(iter(handle.read().values()))
                self._handles[request_id] = (handle, tokens + len(output.generated_ids))
                if output.finish_reason != genai.GenerationFinishReason.NONE:
                    del self._handles[request_id]
            elif handle.get_status() == genai.GenerationStatus.IGNORED:
                del self._handles[request_id]

    def leave(self) -> None:
        """Go, with the pipeline's next step: nobody is left to be beside."""
        for handle, _ in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def measure_cache(self) -> int:
        """The tokens that the KV cache holds: the engine tells only which part of it is in use."""
        ids = self._pipeline.get_tokenizer().encode(_PROBE_TEXT).input_ids
        handle = self._request(_PROBE_TEXT, ids, max_new_tokens=_PROBE_TOKENS)
        while not handle.can_read():
            self._pipeline.step()
        used: float = self._pipeline.get_metrics().cache_usage / 100
        handle.cancel()
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        return int(ids.shape[-1] / used)

    def _request(self, text: str, ids: openvino.Tensor, *, max_new_tokens: int) -> "genai.GenerationHandle":
        config = genai.GenerationConfig()
        config.set_eos_token_id(self._pipeline.get_config().eos_token_id)
        config.ignore_eos = True
        config.max_new_tokens = max_new_tokens
        config.apply_chat_template = False
        self._next_id += 1
        # A vision model takes no ids.
        if self._sees:
            return self._pipeline.add_request(self._next_id, text, [], config)
        return self._pipeline.add_request(self._next_id, ids, config)

"""Keeps the engine's kernels the same for every step: each row is computed as beside any number of others.

The CPU plugin chooses kernels by how many rows a step has. A single row is multiplied by another one than
several, and a few, for some matrices, than more (see rows). And where a step has fewer requests than threads,
attention is added up thread by thread, in an order that the load decides (`past_lens.m_dims[0] >= nthr` in
OpenVINO's executor_pa.cpp). So short requests of our own run beside the real ones: as many as a single one
needs for rows enough, or as are wanting to the number of threads.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import openvino_genai as genai

from service.engine.backends.probe import no_room, step_until, whole_cache
from service.errors import ConfigError

_PROMPT_TEXT = "a"
_PROMPT = openvino.Tensor(np.array([(1,)], dtype=np.int64))
_TOKENS = 256
# The next one begins long before the last one ends: its prompt may have to wait for others' prompts.
OVERLAP_TOKENS = 128
_BLOCK_TOKENS = 64
# No request of the service's has a number so high.
_FIRST_ID = 1 << 62
# Long enough that a partly empty block of its counts for little.
_PROBE_TEXT = "a" + " a" * 479
_PROBE_TOKENS = 4
# Far more steps than there are tokens in it, were each computed in a step of its own.
_PROBE_STEPS = 1000
_SETTING = "`reproducible`"
_OF_VISION = "openvino_language_model.xml"
# The part of the KV cache that they may take: of less than a quarter real requests would run one by one.
_MOST_SHARE = 0.75


def most_companions(beside: int) -> int:
    """How many may run at once where no fewer than `beside` requests should, real ones included.

    Each wanted one and a spare one, and the next in their places.
    """
    return 2 * max(2, beside)


def companion_tokens(beside: int) -> int:
    """What they take of the KV cache, at most."""
    return most_companions(beside) * (_TOKENS + _BLOCK_TOKENS)


def tokens_beside(cache_tokens: int, beside: int, *, cache_gib: int) -> int:
    """What they leave of a KV cache of `cache_gib` GiB, which holds `cache_tokens`.

    Raises:
        ConfigError: too little for real requests.
    """
    taken, most = companion_tokens(beside), _MOST_SHARE * cache_tokens
    if taken <= most:
        return cache_tokens - taken
    most_threads = int(2 * most / companion_tokens(2))
    fewer = f", or set INFERENCE_NUM_THREADS to {most_threads} at most in `properties`"
    raise ConfigError(
        f"`cache_gib` = {cache_gib} holds {cache_tokens} tokens with this model, and `reproducible` = true "
        f"takes {taken} of them for {most_companions(beside)} requests of its own: raise `cache_gib` to at "
        f"least {math.ceil(cache_gib * taken / most)}{fewer if most_threads > 1 else ''}"
    )


@dataclass(slots=True)
class _Companion:
    """One of them; `left`: how many tokens it has still to give; `is_long`: they were more than usual."""

    handle: "genai.GenerationHandle"
    left: int
    is_long: bool
    has_begun: bool = False


def sees_pictures(model: Path) -> bool:
    """Whether this is a vision model's folder."""
    return (model / _OF_VISION).exists()


def graph_of(model: Path) -> Path:
    """The graph of a model's folder that generates."""
    return model / (_OF_VISION if sees_pictures(model) else "openvino_model.xml")


class Companions:
    """Requests whose answers nobody reads, in the pipeline for as long as real ones are.

    With them it holds no fewer than there are `threads`, and each real one that gets a token is one of
    `least_rows` that do.
    """

    def __init__(
        self, pipeline: "genai.ContinuousBatchingPipeline", model: Path, threads: int, *, least_rows: int
    ) -> None:
        self._pipeline = pipeline
        self._threads = threads
        self._fewest = least_rows - 1
        self._most = most_companions(max(threads, least_rows))
        self._sees = sees_pictures(model)
        self._prompt_tokens = 1
        if self._sees:
            self._prompt_tokens = int(pipeline.get_tokenizer().encode(_PROMPT_TEXT).input_ids.shape[-1])
        self._next_id = _FIRST_ID
        self._running: dict[int, _Companion] = {}

    @property
    def tokens(self) -> int:
        """How many tokens they take of the next step."""
        return sum(1 if one.has_begun else self._prompt_tokens for one in self._running.values())

    def join(self, requests: int, *, spare: int = 0, steps: int = OVERLAP_TOKENS) -> None:
        """See that enough run beside so many, for so many steps to come, and `spare` more, to `leave_one`.

        To be called before a step, and before a request is added.
        """
        wanted = max(self._fewest, self._threads - requests) + spare
        lasting = sum(one.left >= steps for one in self._running.values())
        tokens = _TOKENS if steps <= OVERLAP_TOKENS else steps + OVERLAP_TOKENS
        for _ in range(wanted - lasting):
            handle = self._request(_PROMPT_TEXT, _PROMPT, max_new_tokens=tokens)
            self._running[self._next_id] = _Companion(handle, tokens, is_long=tokens > _TOKENS)
        # Those that last are no more than are wanted: of the others the first to end can go.
        for _ in range(len(self._running) - self._most):
            self._let_first_go()

    def read(self) -> None:
        """Throw away what the last step gave."""
        for request_id, one in list(self._running.items()):
            if one.handle.can_read():
                # None when the cache ran full.
                for output in one.handle.read().values():
                    one.has_begun = True
                    one.left -= len(output.generated_ids)
            if one.left <= 0 or one.handle.get_status() == genai.GenerationStatus.IGNORED:
                del self._running[request_id]

    def leave_one(self) -> None:
        """Let one go, with the pipeline's next step: the one that would end first, if enough are left."""
        if len(self._running) > self._fewest:
            self._let_first_go()

    def dismiss_long(self) -> None:
        """Let those go, with the pipeline's next step, that were to outlast a long prompt, which is done."""
        for request_id, one in list(self._running.items()):
            if one.is_long:
                self._running.pop(request_id).handle.cancel()

    def leave(self) -> None:
        """Go, with the pipeline's next step: nobody is left to be beside."""
        for one in self._running.values():
            one.handle.cancel()
        self._running.clear()

    def _let_first_go(self) -> None:
        first = min(self._running, key=lambda request_id: self._running[request_id].left)
        self._running.pop(first).handle.cancel()

    def measure_cache(self, cache_gib: int) -> int:
        """The tokens that the KV cache of `cache_gib` GiB holds.

        Raises:
            ConfigError: fewer than it takes to tell.
            EngineError: the engine does not let it be told.
        """
        ids = self._pipeline.get_tokenizer().encode(_PROBE_TEXT).input_ids
        handle = self._request(_PROBE_TEXT, ids, max_new_tokens=_PROBE_TOKENS)

        def is_thrown_out() -> bool:
            return bool(handle.get_status() == genai.GenerationStatus.IGNORED)

        self._step_until(lambda: handle.can_read() or is_thrown_out())
        tokens = int(ids.shape[-1])
        if is_thrown_out():
            raise no_room(cache_gib, tokens)
        used: float = self._pipeline.get_metrics().cache_usage / 100
        handle.cancel()
        self._step_until(lambda: not self._pipeline.has_non_finished_requests())
        return whole_cache(tokens, used, setting=_SETTING)

    def _step_until(self, is_over: Callable[[], bool]) -> None:
        step_until(is_over, self._pipeline.step, most=_PROBE_STEPS, setting=_SETTING)

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

"""Times the bare engine: one request alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.raw import RawJob, RawResult, serve
from benchmarks.workload import make_texts, tokenise
from service.engine.config import EngineConfig

_READY_S = 600.0
_JOB_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What to time: prompts of `prefill` tokens each; `decoded` tokens behind a prompt of `decode_prompt`."""

    decode_prompt: int
    decoded: int
    prefill: tuple[int, ...]

    @property
    def mean_context(self) -> int:
        """Tokens in the cache in the middle of decoding."""
        return self.decode_prompt + self.decoded // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTimes:
    """decode_s: of one token, the mean. prefill_s: to the first token of a prompt, one for each length."""

    decode_s: float
    prefill_s: tuple[float, ...]


class TimedEngine:
    """The engine in a process of its own; between measurements it only waits.

    Raises:
        BenchmarkError: it can't be loaded, or dies.
    """

    def __init__(self, model: Path, config: EngineConfig, lengths: Lengths) -> None:
        self._model = model
        self._lengths = lengths
        self._engine: Peer[RawJob, RawResult] = Peer(serve, config)

    def wait_ready(self) -> None:
        """Wait until the model is loaded."""
        self._engine.wait_ready(_READY_S)

    def measure(self, seed: str) -> EngineTimes:
        """Time everything once, on prompts that the seed decides.

        Raises:
            BenchmarkError: the engine died, or did not give all tokens.
            ModelFolderError: the model's tokenizer is missing or broken.
        """
        lengths = self._lengths
        prefill_s = []
        for length in lengths.prefill:
            (prompt,) = self._prompts(f"{seed} prefill {length}", count=1, tokens=length)
            prefill_s.append(self._wall_s(prompt, 1))
        # Two prompts of one length, for the prefix cache knows the one that it has seen.
        first, second = self._prompts(f"{seed} decode", count=2, tokens=lengths.decode_prompt)
        beyond_s = self._wall_s(second, 1 + lengths.decoded) - self._wall_s(first, 1)
        return EngineTimes(decode_s=beyond_s / lengths.decoded, prefill_s=tuple(prefill_s))

    def close(self) -> None:
        """End the process."""
        self._engine.close()

    def _wall_s(self, prompt: list[int], tokens: int) -> float:
        job = RawJob(prompts=[prompt], max_new_tokens=tokens, concurrency=1)
        result = self._engine.run(job, _JOB_S)
        if result.token_counts != [tokens]:
            raise BenchmarkError(
                f"the engine gave {result.token_counts[0]} of {tokens} tokens for a prompt of {len(prompt)}: "
                "is its KV cache, or the model's context, too small for it?"
            )
        return result.wall_s

    def _prompts(self, seed: str, *, count: int, tokens: int) -> Sequence[list[int]]:
        """Prompts of exactly so many tokens: a word is one at least."""
        texts = make_texts(seed=seed, count=count, words=tokens)
        return [prompt.token_ids[:tokens] for prompt in tokenise(self._model, texts)]

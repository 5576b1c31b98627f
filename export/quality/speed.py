"""Times a model on this machine, as loaded as it is."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from export.quality.models import LanguageModel

DECODE_TOKENS = 16


class Timed:
    """A LanguageModel that counts the tokens it reads and the time that takes."""

    def __init__(self, model: LanguageModel, clock: Callable[[], float] = time.perf_counter) -> None:
        self._model = model
        self._clock = clock
        self._tokens = 0
        self._seconds = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Tokens read in a second so far."""
        return self._tokens / self._seconds if self._seconds else 0.0

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See LanguageModel."""
        began_s = self._clock()
        logits = self._model.logits(ids)
        self._seconds += self._clock() - began_s
        self._tokens += len(ids)
        return logits

    def continue_greedily(self, prompts: NDArray[np.int64], new_tokens: int) -> NDArray[np.int64]:
        """See LanguageModel."""
        return self._model.continue_greedily(prompts, new_tokens)


def decode_tokens_per_s(
    model: LanguageModel, prompt: NDArray[np.int64], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Tokens written in a second behind one prompt [P], the time to read that prompt taken off."""
    began_s = clock()
    model.continue_greedily(prompt[None], 1)
    read_s = clock() - began_s
    model.continue_greedily(prompt[None], 1 + DECODE_TOKENS)
    return DECODE_TOKENS / max(clock() - began_s - 2 * read_s, 1e-6)

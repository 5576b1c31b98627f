"""What the measures ask of a model, whatever runs it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class LanguageModel(Protocol):
    """A model that says what comes next."""

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """For token ids [T], the logits [T, V] of what follows each; nothing is kept from earlier calls."""
        ...

    def continue_greedily(self, prompts: NDArray[np.int64], new_tokens: int) -> NDArray[np.int64]:
        """For prompts [N, P] of one length, the likeliest next tokens [N, new_tokens], one after another."""
        ...

"""Counts for how many tokens both models write the same."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.quality.models import LanguageModel
from export.quality.texts import Sample

PROMPTS = 32
PROMPT_TOKENS = 48
NEW_TOKENS = 32


def pick_prompts(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """The first tokens of `PROMPTS` passages that are spread evenly over the set: int64 [N, P].

    They are of one length, so that the source can write all of them at once without padding.
    """
    long_enough = [sample for sample in samples if len(sample.ids) >= PROMPT_TOKENS]
    chosen = np.linspace(0, len(long_enough) - 1, min(PROMPTS, len(long_enough))).round().astype(int)
    return np.stack([long_enough[index].ids[:PROMPT_TOKENS] for index in chosen])


def agreeing_prefixes(
    source: LanguageModel,
    converted: LanguageModel,
    prompts: NDArray[np.int64],
    advance: Callable[[float], None],
) -> tuple[int, ...]:
    """For each prompt how many of the source's greedy tokens the converted model would write too, in a row.

    The converted model reads what the source wrote: up to the first place where its own first choice is
    another token, that is what it would have written itself.
    """
    written = source.continue_greedily(prompts, NEW_TOKENS)
    lengths = []
    for done, (prompt, answer) in enumerate(zip(prompts, written, strict=True), start=1):
        logits = converted.logits(np.concatenate([prompt, answer[:-1]]))
        lengths.append(prefix_length(logits[len(prompt) - 1 :].argmax(axis=1), answer))
        advance(done / len(prompts))
    return tuple(lengths)


def prefix_length(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> int:
    """How many tokens are the same before the first that is not."""
    different = np.flatnonzero(ours != theirs)
    return int(different[0]) if len(different) else len(theirs)

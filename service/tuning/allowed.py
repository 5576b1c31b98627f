"""What a tuning may set: a file of them can come with a downloaded model, and is not to be trusted."""

import re
from collections.abc import Mapping

from service.tuning.candidate import EXACT

HINT, GROUPS, KV = "INFERENCE_PRECISION_HINT", "DYNAMIC_QUANTIZATION_GROUP_SIZE", "KV_CACHE_PRECISION"
PINNING, HYPER_THREADS, THREADS = "ENABLE_CPU_PINNING", "ENABLE_HYPER_THREADING", "INFERENCE_NUM_THREADS"

# Each value that a candidate can have; see space.
_VALUES = {
    HINT: re.compile("f32|bf16"),
    GROUPS: re.compile("0|32|64|128"),
    KV: re.compile("f32|f16|bf16|u8|u4"),
    PINNING: re.compile("NO"),
    HYPER_THREADS: re.compile("YES"),
    THREADS: re.compile("[1-9][0-9]{0,3}"),
}
_MOST_BATCHED_TOKENS, _MOST_RUNNING = 1024, 100
_SHOWN = 40


def beyond_allowed(properties: Mapping[str, str], *, max_batched_tokens: int, max_running: int) -> str | None:
    """The first thing that no search of this version can have found, in words; None if there is none."""
    for name, value in properties.items():
        if name not in _VALUES or not _VALUES[name].fullmatch(value):
            return f"it sets {name[:_SHOWN]!r} to {value[:_SHOWN]!r}, which no tuning does"
    if not 0 < max_batched_tokens <= _MOST_BATCHED_TOKENS:
        return f"its max_batched_tokens is above {_MOST_BATCHED_TOKENS}"
    if not 0 < max_running <= _MOST_RUNNING:
        return f"its max_running is above {_MOST_RUNNING}"
    return None


def is_exact(properties: Mapping[str, str]) -> bool:
    """Whether the properties hold all that reproducible answers need."""
    return all(properties.get(name) == value for name, value in EXACT.items())

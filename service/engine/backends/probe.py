"""Measures an engine's KV cache by a request of our own, with an end whatever the engine does.

The engine tells only which part of its cache is in use. `setting` is the one that needs the figure: without
it, or with another cache, the model can be served.
"""

from collections.abc import Callable

from service.errors import ConfigError, EngineError


def step_until(is_over: Callable[[], bool], step: Callable[[], object], *, most: int, setting: str) -> None:
    """Step the engine until the request is over.

    Raises:
        EngineError: it is not after `most` steps, which no engine needs that works.
    """
    for _ in range(most):
        if is_over():
            return
        step()
    if not is_over():
        raise EngineError(
            f"the engine did not end the request that measures its KV cache within {most} steps: "
            f"take {setting} out of the model's settings, or set another `cache_gib`"
        )


def whole_cache(held: int, ratio: float, *, setting: str) -> int:
    """What a cache holds of which `held` (tokens, or blocks) are the part `ratio`.

    Raises:
        EngineError: the engine told no part.
    """
    if not 0 < ratio <= 1:
        raise EngineError(
            f"the engine says that a request takes {ratio} of its KV cache, so its size can't be told: "
            f"take {setting} out of the model's settings, or set another `cache_gib`"
        )
    return int(held / ratio)


def no_room(cache_gib: int, tokens: int) -> ConfigError:
    """What to tell where the cache can't hold even the request that measures it."""
    return ConfigError(
        f"`cache_gib` = {cache_gib} has no room for a request of {tokens} tokens with this model: "
        "raise `cache_gib`"
    )

"""The engine properties of reproducible mode, and what can't go with it."""

from collections.abc import Mapping

from service.errors import ConfigError
from service.settings import ModelSettings

# Each keeps a request's numbers from depending on the requests beside it: bf16 and dynamically quantised
# matrix products round in another way for another number of rows, and so does a quantised KV cache for
# another place of a token in its block.
REPRODUCIBLE_PROPERTIES = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
# These win over KV_CACHE_PRECISION in the engine.
_HALVES_OF_THE_CACHE = {"KEY_CACHE_PRECISION": "f32", "VALUE_CACHE_PRECISION": "f32"}
# Each thread makes the engine run two requests of our own, so it must be known how many there are.
_THREADS, _MOST_THREADS = "INFERENCE_NUM_THREADS", 9999


def reproducible_backend(settings: ModelSettings) -> str:
    """The engine that keeps the promise; the fake one answers by rote, whatever else it does."""
    return settings.backend if settings.backend == "fake" else "openvino-reproducible"


def reproducible_properties(settings: ModelSettings, device: str) -> dict[str, str]:
    """What a model with `reproducible = true` is run with: its own properties, and those that make it so.

    Raises:
        ConfigError: one of its properties, or its device, would break the promise.
    """
    given = settings.properties or {}
    if settings.backend == "fake":
        return given
    if device != "CPU":
        raise ConfigError(
            f"{settings.path}: `reproducible` = true is for the device CPU, not {device!r}: nothing "
            "of it was verified on other hardware. Take `reproducible` out, or set `device` to CPU"
        )
    for key, needed in (REPRODUCIBLE_PROPERTIES | _HALVES_OF_THE_CACHE).items():
        if given.get(key, needed) != needed:
            raise ConfigError(
                f"{settings.path}: `properties` has {key} = {given[key]!r}, but `reproducible` = true needs "
                f"{needed!r}: take {key} out of `properties`, or `reproducible` out of the model's settings"
            )
    _check_threads(settings, given)
    return REPRODUCIBLE_PROPERTIES | given


def _check_threads(settings: ModelSettings, given: Mapping[str, str]) -> None:
    threads = given.get(_THREADS, "0")
    # ASCII digits alone: the engine takes no others.
    if not (threads.isascii() and threads.isdecimal() and len(threads) <= len(str(_MOST_THREADS))):
        raise ConfigError(
            f"{settings.path}: `properties` has {_THREADS} = {threads!r}, which is no whole number from 0 to "
            f"{_MOST_THREADS}: set the number of threads, or take {_THREADS} out for one on each core"
        )

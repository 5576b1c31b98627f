"""The engine properties of reproducible mode, and what can't go with it."""

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
    return REPRODUCIBLE_PROPERTIES | given

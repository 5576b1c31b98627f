"""Maps a backend's name to its class; imported in the engine process only."""

from importlib import import_module

from service.engine.config import EngineConfig
from service.engine.protocol import Backend
from service.errors import ConfigError

BACKENDS = {
    "openvino": "service.engine.backends.openvino:OpenVINOBackend",
    "openvino-lookup": "service.engine.backends.openvino_lookup:OpenVINOLookupBackend",
    "openvino-reproducible": "service.engine.backends.reproducible:ReproducibleBackend",
    "openvino-grammar": "service.engine.backends.openvino_grammar:OpenVINOGrammarBackend",
    "fake": "service.engine.backends.fake:FakeBackend",
}


def load_backend(config: EngineConfig) -> Backend:
    """Import the configured backend; load the model with it.

    Raises:
        ConfigError: no backend of that name.
    """
    if config.backend not in BACKENDS:
        raise ConfigError(f"no engine backend named {config.backend!r}; there are: {', '.join(BACKENDS)}")
    module_name, class_name = BACKENDS[config.backend].split(":")
    backend: Backend = getattr(import_module(module_name), class_name)(config)
    return backend

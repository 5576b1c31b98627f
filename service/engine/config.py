"""What an engine process must know to load a model."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Everything that travels to the engine process at its start.

    cache_gib: KV cache in GiB, whole numbers as the engine takes them. max_batched_tokens: tokens of
    all requests in one step, so the size of a prefill chunk. properties: passed to the runtime as they
    are (OpenVINO's property names).
    """

    backend: str
    model_path: str
    device: str
    cache_gib: int
    max_batched_tokens: int
    max_running: int
    prefix_caching: bool
    properties: dict[str, str] = field(default_factory=dict)

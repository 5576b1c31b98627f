"""Measures the machine and the engine in turns."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import openvino

from benchmarks.errors import BenchmarkError
from benchmarks.roofline.bandwidth import MemoryReader, read_bandwidth_bytes_per_s
from benchmarks.roofline.engine import EngineTimes, Lengths, TimedEngine
from benchmarks.roofline.graph import read_cost
from benchmarks.roofline.limits import Machine, MemorySpeed
from benchmarks.roofline.matrices import WeightReader, engine_flops_per_s, matrix_flops_per_s
from benchmarks.roofline.profile import Profile, profile_decode
from benchmarks.roofline.results import RooflineResults, Round, conclude
from service.bootstrap import engine_config
from service.engine.config import EngineConfig
from service.manifest import read_manifest
from service.settings import ModelSettings

_CACHED_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineSettings:
    """What the command was told. properties: None for the service's own."""

    lengths: Lengths
    rounds: int
    cache_gib: int
    buffer_bytes: int
    properties: dict[str, str] | None
    seed: int
    has_profile: bool

    @property
    def turns(self) -> int:
        """How many measurements there will be: the machine, the rounds with one to warm up, the profile."""
        return 1 + self.rounds + 1 + (1 if self.has_profile else 0)


def measure_roofline(
    model: Path, settings: RooflineSettings, *, advance: Callable[[], None]
) -> tuple[RooflineResults, EngineConfig]:
    """Measure everything; call `advance` after each of the settings' turns.

    Raises:
        BenchmarkError: the model isn't for a CPU, its graph can't be counted, or the engine dies.
        ModelFolderError: the model's folder is not whole.
    """
    config = _config(model, settings)
    cost = read_cost(model)
    machine = _measure_machine(config)
    advance()
    rounds = _measure_rounds(model, config, settings, advance)
    results = conclude(
        cost,
        machine,
        rounds,
        lengths=settings.lengths,
        kv_precision=_kv_precision(config),
        profile=_profile(config, settings.lengths.mean_context, advance) if settings.has_profile else None,
    )
    return results, config


def _measure_rounds(
    model: Path, config: EngineConfig, settings: RooflineSettings, advance: Callable[[], None]
) -> list[Round]:
    """The memory is measured around each round: on a shared machine it changes within minutes."""
    memory, weights = MemoryReader(settings.buffer_bytes), WeightReader(config.properties)

    def speed() -> MemorySpeed:
        return MemorySpeed(read_bytes_per_s=memory.bytes_per_s(), weight_bytes_per_s=weights.bytes_per_s())

    speeds: list[MemorySpeed] = []
    times: list[EngineTimes] = []
    with closing(TimedEngine(model, config, settings.lengths)) as engine:
        engine.wait_ready()
        for turn in range(settings.rounds + 1):
            times.append(engine.measure(f"{settings.seed} {turn}"))
            speeds.append(speed())
            advance()
    # The first round warmed up; its memory's speed is the one before the second.
    return [
        Round(memory=_faster(speeds[turn - 1], speeds[turn]), engine=times[turn])
        for turn in range(1, settings.rounds + 1)
    ]


def _faster(before: MemorySpeed, after: MemorySpeed) -> MemorySpeed:
    return MemorySpeed(
        read_bytes_per_s=max(before.read_bytes_per_s, after.read_bytes_per_s),
        weight_bytes_per_s=max(before.weight_bytes_per_s, after.weight_bytes_per_s),
    )


def _measure_machine(config: EngineConfig) -> Machine:
    return Machine(
        f32_flops_per_s=matrix_flops_per_s("f32"),
        bf16_flops_per_s=matrix_flops_per_s("bf16"),
        int8_flops_per_s=matrix_flops_per_s("int8"),
        engine_flops_per_s=engine_flops_per_s(config.properties),
        cached_bytes_per_s=read_bandwidth_bytes_per_s(_CACHED_BYTES),
    )


def _config(model: Path, settings: RooflineSettings) -> EngineConfig:
    served = ModelSettings(path=model, cache_gib=settings.cache_gib)
    config = engine_config(served, read_manifest(model).device)
    if config.device != "CPU":
        raise BenchmarkError(f"the roofline is a CPU's, and {model} is made for {config.device}")
    return config if settings.properties is None else replace(config, properties=settings.properties)


def _kv_precision(config: EngineConfig) -> str:
    if "KV_CACHE_PRECISION" in config.properties:
        return config.properties["KV_CACHE_PRECISION"]
    default: str = openvino.Core().get_property(config.device, "KV_CACHE_PRECISION").get_type_name()
    return default


def _profile(config: EngineConfig, context_tokens: int, advance: Callable[[], None]) -> Profile:
    profile = profile_decode(Path(config.model_path), config.device, config.properties, context_tokens)
    advance()
    return profile

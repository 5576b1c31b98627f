"""Decides how the engine runs a model: the operator's settings, a tuning, or the machine's class."""

from dataclasses import dataclass, replace

from service.bootstrap.reproducible import reproducible_properties
from service.cpu import read_cpu
from service.settings import ModelSettings
from service.tuning.identity import tuning_key
from service.tuning.machine_classes import cpu_class, shipped_properties
from service.tuning.store import Found, TuningEntry, existing, find, places


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What the engine is told beside the operator's own settings; `origin` says where it is from."""

    properties: dict[str, str]
    max_batched_tokens: int
    max_running: int
    origin: str


def choose(settings: ModelSettings, device: str) -> EngineChoice:
    """Explicit properties win over a tuning, that wins over the class's; so does each explicit limit.

    Raises:
        ConfigError: a property, or the device, can't go with reproducible mode.
    """
    if settings.reproducible:
        return _reproducible(settings, device)
    if settings.backend != "openvino":
        return _choice(settings, settings.properties or {}, "the settings")
    if settings.properties is not None:
        return _choice(settings, settings.properties, "the settings")
    found = _look_up(settings, device)
    if found.entry is not None and found.entry.objective != "reproducible":
        return _tuned(settings, found.entry)
    flags = read_cpu().flags
    origin = f"defaults for {cpu_class(flags).name}" if device == "CPU" else "the engine's defaults"
    if found.reason is not None:
        origin += f" (the tuning in {found.path} is not used: {found.reason})"
    return _choice(settings, shipped_properties(device, flags), origin)


def _reproducible(settings: ModelSettings, device: str) -> EngineChoice:
    needed = reproducible_properties(settings, device)
    entry = _look_up(settings, device).entry if settings.properties is None else None
    if entry is None or entry.objective != "reproducible":
        return _choice(settings, needed, "reproducible mode")
    tuned = _tuned(settings, entry)
    return replace(tuned, properties=tuned.properties | needed)


def _look_up(settings: ModelSettings, device: str) -> Found:
    paths = places(settings.path, settings.tuning_file)
    # The key is made only where it is asked for: it reads some megabytes.
    if not settings.tuning or not existing(paths):
        return Found()
    return find(paths, tuning_key(settings.path, device))


def _tuned(settings: ModelSettings, entry: TuningEntry) -> EngineChoice:
    given = settings.model_fields_set
    return EngineChoice(
        properties=dict(entry.properties),
        max_batched_tokens=settings.max_batched_tokens
        if "max_batched_tokens" in given
        else entry.max_batched_tokens,
        max_running=settings.max_running_requests if "max_running_requests" in given else entry.max_running,
        origin=f"tuned for this machine on {entry.tuned_at:%Y-%m-%d} ({entry.objective})",
    )


def _choice(settings: ModelSettings, properties: dict[str, str], origin: str) -> EngineChoice:
    return EngineChoice(
        properties=properties,
        max_batched_tokens=settings.max_batched_tokens,
        max_running=settings.max_running_requests,
        origin=origin,
    )

"""Decides how the engine runs a model: the operator's settings, a tuning, or the machine's class."""

from dataclasses import dataclass, replace

from service.bootstrap.reproducible import reproducible_properties
from service.cpu import read_cpu
from service.errors import ConfigError
from service.settings import ModelSettings
from service.tuning.identity import tuning_key
from service.tuning.machine_classes import cpu_class, shipped_properties
from service.tuning.store import Found, TuningEntry, existing, find, places


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What the engine is told beside the operator's own settings; `origin` says where it is from.

    unused: why a tuning that exists is not used, for the log alone: it names paths.
    """

    properties: dict[str, str]
    max_batched_tokens: int
    max_running: int
    origin: str
    unused: str | None = None


def choose(settings: ModelSettings, device: str) -> EngineChoice:
    """Explicit properties win over a tuning, that wins over the class's; so does each explicit limit.

    Raises:
        ConfigError: a property, or the device, can't go with reproducible mode, or `tuning_file` is missing.
    """
    if settings.reproducible:
        return _reproducible(settings, device)
    if settings.backend != "openvino":
        return _choice(settings, settings.properties or {}, "the settings")
    if settings.properties is not None:
        return _choice(settings, settings.properties, "the settings")
    found = _look_up(settings, device)
    if found.entry is not None:
        return _tuned(settings, found.entry)
    flags = read_cpu().flags
    origin = f"defaults for {cpu_class(flags).name}" if device == "CPU" else "the engine's defaults"
    choice = _choice(settings, shipped_properties(device, flags), origin)
    return replace(choice, unused=_unused(found))


def _reproducible(settings: ModelSettings, device: str) -> EngineChoice:
    needed = reproducible_properties(settings, device)
    found = _look_up(settings, device) if settings.properties is None else Found()
    if found.entry is None:
        return replace(_choice(settings, needed, "reproducible mode"), unused=_unused(found))
    tuned = _tuned(settings, found.entry)
    return replace(tuned, properties=tuned.properties | needed)


def _look_up(settings: ModelSettings, device: str) -> Found:
    if not settings.tuning:
        return Found()
    files = existing(places(settings.path, settings.tuning_file))
    if not files:
        if settings.tuning_file is not None:
            raise ConfigError(f"{settings.path}: `tuning_file` = {str(settings.tuning_file)!r}: no such file")
        return Found()
    if settings.python is not None:
        return Found(reason="`python` names another interpreter, whose engine may be another", path=files[0])
    # The key is made only where it is asked for: it reads some megabytes.
    return find(files, tuning_key(settings.path, device), is_reproducible=settings.reproducible)


def _unused(found: Found) -> str | None:
    return f"the tuning in {found.path} is not used: {found.reason}" if found.reason else None


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

"""Builds the models: engine, tokenizer, limits."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from service.admission import Admission
from service.bootstrap.engine_properties import EngineChoice, choose
from service.bootstrap.pictures import Pictures
from service.bootstrap.reproducible import reproducible_backend
from service.domain import TokenLimits
from service.engine.config import EngineConfig
from service.engine.grammar import GrammarChecker
from service.engine.process import EngineProcess, SupervisorPolicy
from service.errors import ConfigError
from service.generation import TextModel
from service.manifest import FILE_NAME, Manifest, read_manifest
from service.memory import memory_limit_bytes
from service.observer import ObserverFactory, Observers
from service.prompt.chat import ChatTemplate
from service.settings import ModelSettings
from service.telemetry.live import ModelState
from service.telemetry.metrics import Metrics
from service.text.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracing

_log = structlog.get_logger()

MODELS_FOLDER = Path("models")
_GIB = 2**30
# The checker measures what a grammar takes; this ends it when it hangs over one.
_GRAMMAR_STALL_S = 3.0
# One client's explosive grammars must not make the others' wait.
_GRAMMAR_BACKOFF_S = 0.2
# Drawn seeds stay exact in clients that read JSON numbers as doubles.
_SEED_BITS = 53


def discover_models(folder: Path) -> tuple[ModelSettings, ...]:
    """The one converted model under `folder`, for when no model is named.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = sorted(manifest.parent for manifest in folder.glob(f"*/{FILE_NAME}"))
    if not found:
        raise ConfigError(
            f"no model to serve: none was named and {folder}/ holds none. "
            "Convert one with: python export/convert.py"
        )
    if len(found) > 1:
        names = ", ".join(str(path) for path in found)
        raise ConfigError(f"{folder}/ holds more than one model; choose with --model: {names}")
    return (ModelSettings(path=found[0]),)


def build_model(
    settings: ModelSettings, metrics: Metrics, tracing: "Tracing | None", pictures: Pictures
) -> TextModel:
    """One model with its engine; nothing is started.

    Raises:
        ModelFolderError: its folder is not whole.
        ConfigError: it is made for an engine that is not part of this service, or its settings contradict.
    """
    manifest = read_manifest(settings.path)
    if manifest.engine != "openvino":
        raise ConfigError(
            f"{settings.path} is for {manifest.engine} on {manifest.device}, which this service does not run."
            f" Start it with: {manifest.launch_line(settings.path)}"
        )
    if settings.prompt_lookup and manifest.image_limits:
        raise ConfigError(f"{settings.path}: prompt_lookup is for text models, and this one takes pictures")
    device = settings.device or manifest.device
    name = settings.name or manifest.name
    choice = choose(settings, device)
    if choice.unused is not None:
        _log.info("tuning_not_used", model=name, reason=choice.unused)
    config = _engine_config(settings, device, choice)
    engine = EngineProcess(config, python=str(settings.python) if settings.python else None)
    admission = Admission(max_requests=settings.max_concurrent_requests, max_running=choice.max_running)
    return TextModel(
        name=name,
        device=device,
        engine_name=settings.backend,
        engine_origin=choice.origin,
        is_reproducible=settings.reproducible,
        manifest=manifest,
        tokenizer=ModelTokenizer.load(settings.path),
        engine=engine,
        admission=admission,
        observe=_observe(name, engine, admission, metrics, tracing),
        limits=_token_limits(settings, manifest),
        timeout_s=settings.request_timeout_s,
        grammars=_build_grammar_checker(settings, config),
        template=ChatTemplate.load(settings.path),
        vision=pictures.vision(manifest),
        draw_seed=lambda: secrets.randbits(_SEED_BITS),
        prompt_lookup=settings.prompt_lookup,
    )


def _observe(
    name: str,
    engine: EngineProcess,
    admission: Admission,
    metrics: Metrics,
    tracing: "Tracing | None",
) -> ObserverFactory:
    def state() -> ModelState:
        status = engine.status()
        return ModelState(
            is_ready=status.state == "ready",
            restarts=status.restarts,
            running=status.open_requests,
            waiting=max(0, admission.inside - status.open_requests),
            cache_ratio=status.cache_ratio,
        )

    record = metrics.watch_model(name, state)
    if tracing is None:
        return record
    trace = tracing.watch_model(name)
    return lambda: Observers((record(), trace()))


def _build_grammar_checker(settings: ModelSettings, engine: EngineConfig) -> GrammarChecker:
    # The fake engine knows no grammars, so it refuses none.
    backend = "openvino-grammar" if settings.backend == "openvino" else settings.backend
    config = replace(engine, backend=backend)
    return GrammarChecker(
        EngineProcess(
            config,
            python=str(settings.python) if settings.python else None,
            policy=SupervisorPolicy(stall_s=_GRAMMAR_STALL_S, backoff_max_s=_GRAMMAR_BACKOFF_S),
        )
    )


def _token_limits(settings: ModelSettings, manifest: Manifest) -> TokenLimits:
    max_total = min(settings.max_total_tokens or manifest.context_length, manifest.context_length)
    max_input = min(settings.max_input_tokens or max_total - 1, max_total - 1)
    return TokenLimits(
        max_input=max_input,
        max_total=max_total,
        default_new=settings.default_max_new_tokens,
        default_chat=settings.default_max_chat_tokens,
    )


def engine_config(settings: ModelSettings, device: str) -> EngineConfig:
    """What the engine process is told of a model; `device` is the settled one.

    Raises:
        ConfigError: a property, or the device, can't go with reproducible mode.
    """
    return _engine_config(settings, device, choose(settings, device))


def _engine_config(settings: ModelSettings, device: str, choice: EngineChoice) -> EngineConfig:
    return EngineConfig(
        backend=_backend(settings),
        model_path=str(settings.path.resolve()),
        device=device,
        cache_gib=settings.cache_gib or default_cache_gib(memory_limit_bytes()),
        max_batched_tokens=choice.max_batched_tokens,
        max_running=choice.max_running,
        prefix_caching=settings.prefix_caching,
        prompt_lookup=settings.prompt_lookup,
        properties=choice.properties,
    )


def _backend(settings: ModelSettings) -> str:
    if settings.reproducible:
        return reproducible_backend(settings)
    return "openvino-lookup" if settings.prompt_lookup else settings.backend


def default_cache_gib(available_bytes: int) -> int:
    """Two fifths of the memory that is left, from 1 to 16 GiB: the rest is for weights and everybody else."""
    return max(1, min(16, int(0.4 * available_bytes / _GIB)))

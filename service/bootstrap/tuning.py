"""Builds the search that `tune` runs."""

import os
import time
from datetime import datetime
from pathlib import Path

from tokenizers import Tokenizer

from service.bootstrap.models import default_cache_gib
from service.cpu import read_cpu
from service.engine.config import EngineConfig
from service.errors import ConfigError
from service.manifest import TOKENIZER_FILE, Manifest, read_manifest
from service.memory import memory_limit_bytes
from service.tuning.bench import EngineBench
from service.tuning.errors import TuningError
from service.tuning.identity import tuning_key
from service.tuning.ledger import Entry
from service.tuning.objective import Objective
from service.tuning.passages import encode_passages
from service.tuning.plan import ENGINE_DEFAULTS, SHIPPED, Plan, make_plan
from service.tuning.search import Outcome, Search, Tell
from service.tuning.store import Figures, TuningEntry

_GIB = 2**30
# Enough for 64 requests of a hundred tokens each, of models of some billions of parameters.
_MOST_CACHE_GIB = 2
# What a running engine takes beside its cache, for each byte of weights.
_MEMORY_A_WEIGHT = 1.5
_MOST_AT_ONCE = 3


def build_search(
    folder: Path, *, objective: Objective, budget_s: float, device: str | None, tell: Tell
) -> tuple[Search, Plan, str]:
    """The search, its plan, and the device that it is for.

    Raises:
        ModelFolderError: the folder is not whole.
        ConfigError: no model for this service.
        TuningError: it can't be tuned here.
    """
    manifest = read_manifest(folder)
    _refuse(folder, manifest)
    settled = device or manifest.device
    cpu = read_cpu(allowed=os.sched_getaffinity(0))
    plan = make_plan(objective, budget_s, device=settled, cpu=cpu)
    cache_gib = min(_MOST_CACHE_GIB, default_cache_gib(memory_limit_bytes() // _MOST_AT_ONCE))
    config = EngineConfig(
        # As it is served: that backend sees to what no property does.
        backend="openvino-reproducible" if objective == "reproducible" else "openvino",
        model_path=str(folder.resolve()),
        device=settled,
        cache_gib=cache_gib,
        max_batched_tokens=plan.control.max_batched_tokens,
        max_running=plan.control.max_running,
        prefix_caching=False,
    )
    passages = encode_passages(Tokenizer.from_file(str(folder / TOKENIZER_FILE)))
    bench = EngineBench(config, passages, most_at_once=_most_at_once(folder, cache_gib))
    return Search(plan, bench, clock=time.monotonic, tell=tell), plan, settled


def make_entry(folder: Path, device: str, plan: Plan, outcome: Outcome, *, now: datetime) -> TuningEntry:
    """What is stored of an outcome."""
    chosen = outcome.winner.candidate
    return TuningEntry(
        key=tuning_key(folder, device),
        objective=plan.objective,
        name=chosen.name,
        properties=dict(chosen.properties),
        max_batched_tokens=chosen.max_batched_tokens,
        max_running=chosen.max_running,
        tuned_at=now,
        budget_s=plan.budget_s,
        figures=_figures(outcome),
    )


def _figures(outcome: Outcome) -> Figures | None:
    won, gain = outcome.winner.figures, outcome.winner.gain
    if won is None or gain is None:
        return None
    engine = engine_defaults(outcome)
    over = gain.over(engine.gain) if engine and engine.gain else None
    return Figures(
        alone_per_s=won.alone_per_s,
        together_per_s=won.together_per_s,
        ttft_s=won.ttft_s,
        distance_nats=outcome.winner.distance,
        gain_alone=gain.alone,
        gain_together=gain.together,
        gain_alone_over_engine_defaults=over.alone if over else None,
        gain_together_over_engine_defaults=over.together if over else None,
    )


def engine_defaults(outcome: Outcome) -> Entry | None:
    """The entry of the engine's own defaults, which some devices' shipped ones are."""
    control = outcome.ledger.control
    return _named(outcome, ENGINE_DEFAULTS) or (None if control.candidate.properties else control)


def shipped_defaults(outcome: Outcome) -> Entry | None:
    """The entry of what is used where nothing is tuned."""
    return _named(outcome, SHIPPED)


def _named(outcome: Outcome, name: str) -> Entry | None:
    entries = [outcome.ledger.control, *outcome.ledger.entries]
    return next((one for one in entries if one.candidate.name == name), None)


def _refuse(folder: Path, manifest: Manifest) -> None:
    if manifest.engine != "openvino":
        raise ConfigError(
            f"{folder} is for {manifest.engine}, which this service does not run: tune it there"
        )
    if manifest.image_limits is not None:
        raise TuningError(
            f"{manifest.name} is a vision model, and only text models are tuned: "
            "set `properties` of it in tiber-serve.toml"
        )
    if not (folder / TOKENIZER_FILE).is_file():
        raise TuningError(f"{folder / TOKENIZER_FILE} is missing: convert the model again")


def _most_at_once(folder: Path, cache_gib: int) -> int:
    """How many engines fit into the memory, at most three.

    Raises:
        TuningError: not even two do, and nothing could be measured in turn.
    """
    weights = sum(path.stat().st_size for path in folder.glob("*.bin"))
    each = _MEMORY_A_WEIGHT * weights + cache_gib * _GIB
    fitting = int(memory_limit_bytes() // each)
    if fitting < 2:
        raise TuningError(
            f"tuning runs two engines side by side, about {2 * each / _GIB:.0f} GiB; "
            f"{memory_limit_bytes() / _GIB:.0f} GiB are available"
        )
    return min(_MOST_AT_ONCE, fitting)

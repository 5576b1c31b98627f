"""`tune` measures a model in the engine that serves it."""

from pathlib import Path
from typing import Any

import pytest

from service.bootstrap import engine_config
from service.bootstrap import tuning as tuning_parts
from service.engine.config import EngineConfig
from service.settings import ModelSettings
from service.tuning.bench import EngineBench
from service.tuning.objective import OBJECTIVES, Objective
from tests.support.tiny import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path)
    return tmp_path


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[EngineConfig]:
    """What the benches were told that were built."""
    configs: list[EngineConfig] = []

    def bench(config: EngineConfig, *arguments: Any, **options: Any) -> EngineBench:
        configs.append(config)
        return EngineBench(config, *arguments, **options)

    monkeypatch.setattr(tuning_parts, "EngineBench", bench)
    return configs


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_candidates_run_in_the_backend_that_serves_the_model(
    model: Path, given: list[EngineConfig], objective: Objective
) -> None:
    tuning_parts.build_search(model, objective=objective, budget_s=60, device=None, tell=lambda *_: None)
    is_reproducible = objective == "reproducible"
    (config,) = given
    served = engine_config(ModelSettings(path=model, reproducible=is_reproducible), "CPU")
    assert config.backend == served.backend
    assert config.backend == ("openvino-reproducible" if is_reproducible else "openvino")

"""Which of settings, reproducible mode, tuning and the machine's class decides how the engine runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.bootstrap.engine_properties import EngineChoice, choose
from service.errors import ConfigError
from service.settings import ModelSettings
from service.tuning.identity import tuning_key
from service.tuning.objective import Objective
from service.tuning.store import FILE_NAME, TuningEntry, write
from tests.support.tiny import write_tiny_model

NEEDED = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
OF_THE_CLASS = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"}
TUNED = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": "2"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def tune(model: Path, objective: Objective, properties: dict[str, str]) -> None:
    entry = TuningEntry(
        key=tuning_key(model, "CPU"),
        objective=objective,
        name="best",
        properties=properties,
        max_batched_tokens=512,
        max_running=64,
        tuned_at=datetime(2026, 11, 28, tzinfo=UTC),
        budget_s=60,
    )
    write([model / FILE_NAME], entry)


def choice(model: Path, **settings: Any) -> EngineChoice:
    return choose(ModelSettings(path=model, **settings), "CPU")


def test_without_anything_else_the_class_decides(model: Path) -> None:
    found = choice(model)
    assert found.properties == OF_THE_CLASS
    assert found.origin.startswith("defaults for")


def test_a_tuning_wins_over_the_class(model: Path) -> None:
    tune(model, "throughput", TUNED)
    found = choice(model)
    assert (found.properties, found.max_batched_tokens, found.max_running) == (TUNED, 512, 64)
    assert found.origin == "tuned for this machine on 2026-11-28 (throughput)"


@pytest.mark.parametrize("properties", [{}, {"NUM_STREAMS": "1"}])
def test_explicit_properties_win_over_a_tuning(model: Path, properties: dict[str, str]) -> None:
    tune(model, "throughput", TUNED)
    found = choice(model, properties=properties)
    assert (found.properties, found.max_batched_tokens, found.origin) == (properties, 256, "the settings")


def test_reproducible_mode_wins_over_a_tuning_for_speed(model: Path) -> None:
    tune(model, "throughput", TUNED)
    found = choice(model, reproducible=True)
    assert (found.properties, found.max_batched_tokens, found.max_running) == (NEEDED, 256, 100)
    assert found.origin == "reproducible mode"


def test_a_reproducible_tuning_serves_a_model_in_reproducible_mode(model: Path) -> None:
    tune(model, "reproducible", {**NEEDED, "INFERENCE_NUM_THREADS": "2"})
    found = choice(model, reproducible=True)
    assert (found.properties, found.max_batched_tokens) == ({**NEEDED, "INFERENCE_NUM_THREADS": "2"}, 512)
    assert found.origin == "tuned for this machine on 2026-11-28 (reproducible)"


def test_and_no_other_model(model: Path) -> None:
    tune(model, "reproducible", NEEDED)
    found = choice(model)
    assert (found.properties, found.max_batched_tokens) == (OF_THE_CLASS, 256)
    assert found.origin.startswith("defaults for")


def test_a_reproducible_tuning_that_would_break_the_promise_can_not(model: Path) -> None:
    tune(model, "reproducible", TUNED)
    assert choice(model, reproducible=True).properties == NEEDED


def test_explicit_properties_and_limits_win_over_a_reproducible_tuning(model: Path) -> None:
    tune(model, "reproducible", {**NEEDED, "INFERENCE_NUM_THREADS": "2"})
    explicit = choice(model, reproducible=True, properties={"INFERENCE_NUM_THREADS": "2"})
    assert explicit.properties == {**NEEDED, "INFERENCE_NUM_THREADS": "2"}
    assert explicit.origin == "reproducible mode"
    assert choice(model, reproducible=True, max_batched_tokens=128).max_batched_tokens == 128
    assert choice(model, reproducible=True, tuning=False).properties == NEEDED


def test_a_property_against_reproducible_mode_is_refused_whatever_was_tuned(model: Path) -> None:
    tune(model, "reproducible", NEEDED)
    with pytest.raises(ConfigError, match="INFERENCE_PRECISION_HINT = 'bf16'"):
        choice(model, reproducible=True, properties={"INFERENCE_PRECISION_HINT": "bf16"})


def test_the_fake_engine_takes_its_own_properties_alone(model: Path) -> None:
    tune(model, "throughput", TUNED)
    found = choice(model, backend="fake", properties={"step_s": "0"})
    assert (found.properties, found.origin) == ({"step_s": "0"}, "the settings")

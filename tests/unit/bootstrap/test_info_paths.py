"""`/info` is for clients: it says where the engine's settings are from, and no path of the machine's."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.app import create_app
from service.bootstrap import build_service
from service.settings import ModelSettings, Settings
from service.tuning.candidate import EXACT
from service.tuning.identity import tuning_key
from service.tuning.objective import Objective
from service.tuning.store import FILE_NAME, TuningEntry, write
from tests.support.tiny import write_tiny_model

TOKEN = "a-token-for-tests"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def tuned(model: Path, file: Path, objective: Objective = "balanced", **key: Any) -> None:
    entry = TuningEntry(
        key=tuning_key(model, "CPU").model_copy(update=key),
        objective=objective,
        name="best",
        properties=dict(EXACT),
        max_batched_tokens=512,
        max_running=64,
        tuned_at=datetime(2026, 11, 28, tzinfo=UTC),
        budget_s=60,
    )
    write([file], entry)


def from_settings(_model: Path) -> dict[str, Any]:
    return {"properties": {"CACHE_DIR": "somewhere"}}


def by_default(_model: Path) -> dict[str, Any]:
    return {}


def tuned_beside_the_model(model: Path) -> dict[str, Any]:
    tuned(model, model / FILE_NAME)
    return {}


def tuned_in_a_named_file(model: Path) -> dict[str, Any]:
    tuned(model, model.parent / "mine.json")
    return {"tuning_file": model.parent / "mine.json"}


def tuned_elsewhere(model: Path) -> dict[str, Any]:
    tuned(model, model / FILE_NAME, cpu_model="another")
    return {}


def broken(model: Path) -> dict[str, Any]:
    (model / FILE_NAME).write_text("{")
    return {}


def tuned_reproducible(model: Path) -> dict[str, Any]:
    tuned(model, model / FILE_NAME, "reproducible")
    return {"reproducible": True}


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (from_settings, "the settings"),
        (by_default, "defaults for "),
        (tuned_beside_the_model, "tuned for this machine on 2026-11-28 (balanced)"),
        (tuned_in_a_named_file, "tuned for this machine on 2026-11-28 (balanced)"),
        (tuned_elsewhere, "defaults for "),
        (broken, "defaults for "),
        (tuned_reproducible, "tuned for this machine on 2026-11-28 (reproducible)"),
    ],
)
async def test_engine_settings_tell_where_they_are_from_and_no_path(
    model: Path, prepare: Callable[[Path], dict[str, Any]], told: str
) -> None:
    settings = Settings(models=(ModelSettings(path=model, **prepare(model)),))
    # Without its lifespan no engine is started.
    app = create_app(build_service(settings, extra_token=TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://service", headers=headers
    ) as client:
        response = await client.get("/info")
    assert response.json()["engine_settings"].startswith(told)
    for path in (str(model.parent), FILE_NAME, "mine.json", "CACHE_DIR", "/"):
        assert path not in response.json()["engine_settings"]
    assert str(model.parent) not in response.text

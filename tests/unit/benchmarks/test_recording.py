"""A command's record, from before its run to its end."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # typer asks for names that click 8.5 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer

    from benchmarks.recording import begin


@dataclass(frozen=True)
class Settings:
    rounds: int


@dataclass(frozen=True)
class Results:
    tokens_per_s: list[float]


def test_what_failed_is_recorded_before_it_ends_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    run = begin("burst", Settings(5), file)

    with pytest.raises(typer.Exit) as ended:
        run.finish(Results([1.5]), found={"model_served": "unverified"}, has_failed=True)

    record = json.loads(file.read_text())
    assert ended.value.exit_code == 1
    assert (record["kind"], record["results"]) == ("burst", {"tokens_per_s": [1.5]})
    assert record["settings"] == {"rounds": 5, "model_served": "unverified"}


def test_where_no_record_is_wanted_none_is_written(tmp_path: Path) -> None:
    begin("burst", {"rounds": 5}, None, model=tmp_path / "without a manifest").finish(Results([]))
    assert list(tmp_path.iterdir()) == []

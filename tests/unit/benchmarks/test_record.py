"""The JSON record of a run."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.record import SCHEMA_VERSION, make_record, read_environment, read_record, write_record
from service.engine.config import EngineConfig


@dataclass(frozen=True)
class Results:
    tokens_per_s: list[float]


def test_a_record_says_what_its_numbers_depend_on(tmp_path: Path) -> None:
    engine = EngineConfig(
        backend="openvino",
        model_path="/somewhere/private/model-int8",
        device="CPU",
        cache_gib=2,
        max_batched_tokens=256,
        max_running=100,
        prefix_caching=True,
    )
    file = tmp_path / "new" / "record.json"

    record = make_record(
        kind="overhead",
        environment=read_environment(),
        settings={"rounds": 5},
        results=Results([1.5]),
        engine=engine,
    )
    write_record(file, record)
    read = json.loads(file.read_text())

    assert (read["schema_version"], read["kind"]) == (SCHEMA_VERSION, "overhead")
    assert read["results"] == {"tokens_per_s": [1.5]}
    assert read["settings"] == {"rounds": 5}
    assert read["environment"]["cpu_model"]
    assert read["environment"]["packages"]["openvino-genai"]
    assert list(file.parent.iterdir()) == [file]


def test_the_memory_bandwidth_is_measured_where_it_is_asked_for() -> None:
    assert read_environment().memory_bandwidth_bytes_per_s is None
    measured = read_environment(with_bandwidth=True).memory_bandwidth_bytes_per_s
    assert measured is not None
    assert measured > 1e8


def test_local_paths_stay_out_of_a_record() -> None:
    engine = EngineConfig(
        backend="openvino",
        model_path="/somewhere/private/model-int8",
        device="CPU",
        cache_gib=2,
        max_batched_tokens=256,
        max_running=100,
        prefix_caching=True,
    )

    record = make_record(
        kind="overhead", environment=read_environment(), settings={}, results=Results([]), engine=engine
    )

    assert record["engine"]["model_path"] == "model-int8"
    assert "private" not in json.dumps(record)


def test_records_of_earlier_versions_stay_readable() -> None:
    records = sorted((Path(__file__).parents[3] / "docs" / "records").glob("*.json"))
    assert records
    for path in records:
        record = read_record(path)
        assert record["environment"]["cpu_model"]
        assert "governor" in record["environment"]
        assert "manifest_sha256" in record


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema_version": 99}'])
def test_what_is_no_record_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=r"record\.json"):
        read_record(path)

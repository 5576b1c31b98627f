"""Tables and plots from a small record."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from benchmarks.compare.intervals import Estimate
from benchmarks.compare.markdown import render, table
from benchmarks.compare.records import parse_record, read_record
from benchmarks.compare.results import METRICS, CompareResults, Figures, Level, Round, Side, Versus
from benchmarks.compare.settings import CompareSettings
from benchmarks.record import make_record, read_environment
from benchmarks.stats import Spread
from service.errors import ConfigError

with warnings.catch_warnings():
    # typer asks for names that click 8.5 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from benchmarks.__main__ import app

ROUND = Round(
    wall_s=1.0,
    tokens=192,
    prompt_tokens=96,
    events=192,
    tokens_per_s=192.0,
    ttft_p50_s=0.01,
    ttft_p99_s=0.02,
    itl_p50_s=0.005,
    itl_p99_s=0.006,
    cpu_s=1.0,
    others_cpu_s=0.0,
)
FIGURES = Figures(
    rounds=[ROUND],
    tokens_per_s=Estimate(median=192.0, low=180.0, high=200.0, confidence=0.9375),
    ttft_s=Spread(count=3, p50=0.01, p99=0.02, highest=0.02),
    itl_s=Spread(count=189, p50=0.005, p99=0.006, highest=0.01),
    disturbed_rounds=0,
)
SIDE = Side(
    label="tiber-serve INT8",
    kind="tiber-serve",
    weights="INT8 (OpenVINO IR)",
    model="m",
    versions={},
    settings="defaults",
    launch_line="tiber-serve serve --model m",
    is_ours=True,
    idle_share=0.0,
    is_suspended=False,
    failure=None,
    weights_sha256={"manifest.json": "0123456789ab" + 52 * "c"},
    engine_settings="defaults for AVX-512",
)
PEER = replace(
    SIDE, label="llama.cpp Q4_1", kind="llamacpp", is_ours=False, versions={"x": "1"}, is_suspended=True
)
LOST = replace(PEER, label="vLLM BF16", failure="it did not start | it said:\n  no")


def record(results: CompareResults) -> dict[str, Any]:
    settings = CompareSettings(concurrencies=(1, 64), tokens=64, prompt_words=32, rounds=1, seed=1)
    return make_record(
        kind="compare", environment=read_environment(), settings=asdict(settings), results=results
    )


@pytest.fixture
def results() -> CompareResults:
    one = Estimate(median=1.5, low=1.25, high=1.75, confidence=0.9375)
    slow = replace(FIGURES, rounds=[replace(ROUND, events=100, prompt_tokens=99)], disturbed_rounds=1)
    ratio = Versus(
        ours=SIDE.label,
        peer=PEER.label,
        by_round={metric: [1.5] for metric in METRICS},
        estimates=dict.fromkeys(METRICS, one),
    )
    levels = [
        Level(
            concurrency=concurrency,
            requests_per_round=3,
            figures={SIDE.label: FIGURES, PEER.label: slow},
            ratios=[ratio],
        )
        for concurrency in (1, 64)
    ]
    return CompareResults(sides=[SIDE, PEER, LOST], levels=levels)


def test_the_tables_hold_every_figure_with_its_interval(results: CompareResults) -> None:
    text = render(parse_record(json.loads(json.dumps(record(results)))))

    assert "| tiber-serve INT8 | 192.0 (180.0 to 200.0) | 192.0 (180.0 to 200.0) |" in text
    assert "| tiber-serve INT8 | 10.0 / 20.0 | 10.0 / 20.0 |" in text
    assert "| tiber-serve INT8 / llama.cpp Q4_1 | 64 | 1.50 (1.25 to 1.75) |" in text
    assert "confidence 93.75%" in text
    assert "| INT8 (OpenVINO IR); manifest.json 0123456789ab |" in text
    assert "| defaults; engine: defaults for AVX-512 |" in text


def test_who_is_left_out_and_what_may_mislead_is_said(results: CompareResults) -> None:
    text = render(parse_record(record(results)))

    assert "| it did not start \\| it said: no |" in text
    assert "| vLLM BF16 | - | - |" in text
    assert "0.000 cores; stopped between turns" in text
    assert "llama.cpp Q4_1 at 64 at once: 192 tokens came in 100 events" in text
    assert "different prompt tokens: tiber-serve INT8 96, llama.cpp Q4_1 99" in text
    assert "in 1 of 1 rounds" in text


def test_a_record_is_rendered_again(results: CompareResults, tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(record(results)))
    folder = tmp_path / "new"

    done = CliRunner().invoke(app, ["compare", "--from", str(file), "--output-dir", str(folder)])

    assert done.exit_code == 0, done.output
    assert (folder / "compare.md").read_text() == render(read_record(file))
    for name in ("throughput", "latency", "ratios"):
        assert ElementTree.parse(folder / f"{name}.svg").getroot().tag.endswith("svg")
        with Image.open(folder / f"{name}.png") as image:
            assert image.width > 1000
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_records_from_before_weights_and_tuning_were_told_are_read(results: CompareResults) -> None:
    old = json.loads(json.dumps(record(results)))
    del old["settings"]["uses_tuning"], old["settings"]["run_id"]
    for side in old["results"]["sides"]:
        del side["weights_sha256"], side["engine_settings"]

    assert "| INT8 (OpenVINO IR) |" in render(parse_record(old))


def test_options_that_would_be_ignored_beside_a_record_are_refused(
    results: CompareResults, tmp_path: Path
) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps(record(results)))
    options = ["--rounds", "5", "--contender", "vllm", "--tuning"]

    done = CliRunner().invoke(app, ["compare", "--from", str(file), *options])

    assert isinstance(done.exception, ConfigError)
    assert done.exception.message == "--from measures nothing, so leave out --contender, --rounds, --tuning"


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_option_takes_a_number_that_is_none(value: str) -> None:
    done = CliRunner().invoke(app, ["run", "--url", "http://127.0.0.1:1", "--timeout-s", value])

    assert done.exit_code == 2
    assert "finite" in done.output


def test_nothing_measured_renders_too(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    file.write_text(json.dumps(record(CompareResults(sides=[LOST], levels=[]))))

    done = CliRunner().invoke(app, ["compare", "--from", str(file), "--output-dir", str(tmp_path)])

    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "burst", "schema_version": 1}', '{"kind": "compare"}'])
def test_what_is_no_record_of_a_comparison_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)

    with pytest.raises(ConfigError, match="no record of a comparison"):
        read_record(file)


def test_cells_are_one_line_and_columns_are_aligned() -> None:
    assert table(["a", "b"], [["x\ny", "1"]]) == "| a | b |\n| --- | ---: |\n| x y | 1 |"

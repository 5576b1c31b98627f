"""The commands `scaling` and `startup`, small: no figure is judged, but all are there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def record_of(output: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(output.read_text())
    return record, done.stdout


def test_each_combination_has_its_figures_and_a_row(default_model: Path, tmp_path: Path) -> None:
    record, shown = record_of(
        tmp_path / "scaling.json",
        *("scaling", "--model", str(default_model), "--concurrency", "2", "--waves", "1"),
        *("--prompt-tokens", "8", "--prompt-tokens", "16", "--output-tokens", "3", "--rounds", "2"),
    )

    assert record["kind"] == "scaling"
    found = record["results"]["cells"]
    assert [one["cell"]["prompt_tokens"] for one in found] == [8, 16]
    for one in found:
        assert len(one["output_tokens_per_s"]) == len(one["ttft_s"]) == 2
        assert min(one["output_tokens_per_s"]) > 0
        assert one["end_to_end_s"][0] > one["ttft_s"][0] > 0
    assert "| 2 | 16 | 3 |" in shown


def test_start_memory_and_prefix_cache_are_measured(default_model: Path, tmp_path: Path) -> None:
    record, shown = record_of(
        tmp_path / "startup.json",
        *("startup", "--model", str(default_model), "--rounds", "1", "--prompts", "2"),
        *("--prompt-tokens", "64", "--cache-gib", "1"),
    )

    results = record["results"]
    assert len(results["ready_s"]) == 1
    assert results["ready_median_s"] > 0
    assert min(*results["api_rss_bytes"], *results["engine_rss_bytes"]) > 10 << 20
    assert len(results["new_ttft_s"]) == len(results["again_ttft_s"]) == 2
    assert "process start to /ready" in shown

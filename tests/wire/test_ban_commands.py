"""Bans that an operator makes and lifts, as a running service heeds them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.redis import running_redis
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model

# What a running service has, beyond what the command itself takes.
HEEDED_S = 2.0
BEHIND_PROXY = 'trusted_proxies = ["127.0.0.0/8"]\n'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "service.cli",
            "ban",
            *arguments,
            "--config",
            str(folder / "tiber-serve.toml"),
        ],
        env={**os.environ, "TIBER_AUTH__BANS_FILE": str(folder / "bans.json"), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ban(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(folder: Path, *arguments: str) -> str:
    """The one line of a command that was refused."""
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def ask(server: RunningServer, address: str, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or server.token}", "X-Forwarded-For": address}
    return httpx.get(f"{server.url}/info", headers=headers)


def wait_for(server: RunningServer, address: str, status: int) -> None:
    deadline = time.monotonic() + HEEDED_S
    while ask(server, address).status_code != status:
        assert time.monotonic() < deadline, f"not {status} within {HEEDED_S} s"
        time.sleep(0.05)


def listed_ban(folder: Path) -> str:
    """The list once there is something in it; each look takes a while itself."""
    deadline = time.monotonic() + 10
    while not (listed := ban(folder, "list")):
        assert time.monotonic() < deadline
    return listed


@pytest.fixture(params=["file", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Settings of a service whose bans are in a file, and of one whose bans are in Redis."""
    if request.param == "file":
        yield f"[auth]\n{BEHIND_PROXY}"
        return
    with running_redis(tmp_path, password="hush-hush") as redis:
        yield f'[auth]\n{BEHIND_PROXY}redis_url = "{redis.url}"\nredis_timeout_s = 1\n'


def test_a_running_service_heeds_bans_and_their_end_within_two_seconds(
    settings: str, tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, settings + fake_model(tiny_model)) as server:
        assert ask(server, "192.0.2.7").status_code == 200
        assert ban(tmp_path, "add", "192.0.2.7", "--for", "1h").startswith("banned: 192.0.2.7 until 20")
        wait_for(server, "192.0.2.7", 403)
        assert 3500 < int(ask(server, "192.0.2.7").headers["retry-after"]) <= 3600
        assert ban(tmp_path, "add", "2001:db8::7", "--forever") == "banned: 2001:db8::/64 forever\n"
        wait_for(server, "2001:db8::beef", 403)
        assert ask(server, "192.0.2.8").status_code == 200
        assert ban(tmp_path, "lift", "2001:db8::1:2:3:4") == "lifted: 2001:db8::/64\n"
        assert ban(tmp_path, "lift", "192.0.2.7") == "lifted: 192.0.2.7\n"
        wait_for(server, "2001:db8::beef", 200)
        wait_for(server, "192.0.2.7", 200)


def test_a_ban_that_wrong_tokens_made_is_listed_and_lifted(
    settings: str, tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, settings + fake_model(tiny_model)) as server:
        assert [ask(server, "192.0.2.7", "guess").status_code for _ in range(6)] == [401] * 5 + [403]
        listed = listed_ban(tmp_path)
        address, _, reason = listed.rstrip("\n").split("\t")
        assert (address, reason) == ("192.0.2.7", "wrong tokens")
        ban(tmp_path, "lift", "192.0.2.7")
        wait_for(server, "192.0.2.7", 200)
        assert [ask(server, "192.0.2.7", "guess").status_code for _ in range(4)] == [401] * 4


def test_a_ban_in_memory_outlives_a_service_that_is_killed(tiny_model: Path, tmp_path: Path) -> None:
    settings = f"[auth]\n{BEHIND_PROXY}{fake_model(tiny_model)}"
    with running_server(tmp_path, settings) as server:
        for _ in range(5):
            ask(server, "192.0.2.7", "guess")
        assert "192.0.2.7" in listed_ban(tmp_path)
        server.process.kill()
        server.process.wait()
    with running_server(tmp_path, settings) as server:
        assert ask(server, "192.0.2.7").status_code == 403
        assert ask(server, "192.0.2.8").status_code == 200


def write_settings(folder: Path, auth: str = "") -> None:
    (folder / "tiber-serve.toml").write_text(f"[auth]\n{auth}")


def test_bans_are_listed_for_scripts_and_for_programs(tmp_path: Path) -> None:
    write_settings(tmp_path)
    assert ban(tmp_path, "list") == ""
    assert json.loads(ban(tmp_path, "list", "--json")) == []
    ban(tmp_path, "add", "192.0.2.7", "--forever", "--reason", "two words")
    ban(tmp_path, "add", "::ffff:192.0.2.8", "--for", "90s")
    first, second = ban(tmp_path, "list").splitlines()
    assert first.split("\t")[::2] == ["192.0.2.8", "operator"]
    assert second == "192.0.2.7\tforever\ttwo words"
    eight, seven = json.loads(ban(tmp_path, "list", "--json"))
    assert 80 < eight["left_s"] <= 90
    assert eight["until"] == first.split("\t")[1]
    assert seven == {"address": "192.0.2.7", "until": None, "left_s": None, "reason": "two words"}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["add", "nobody"], "'nobody' is no address"),
        (["add", "10.0.0.0/8"], "counted as 10.0.0.0"),
        (["add", "2001:db8::/48"], "counted as 2001:db8::/64"),
        (["add", "2001:db8::/none"], "counted as 2001:db8::/64"),
        (["add", "192.0.2.7", "--for", "soon"], "--for 'soon'"),
        (["add", "192.0.2.7", "--for", "0s"], "--for must be more than 0"),
        (["add", "192.0.2.7", "--for", "1h", "--forever"], "can't both be given"),
        (["add", "192.0.2.7", "--reason", "two\twords"], "--reason must be one line"),
        (["lift", "192.0.2.9"], "192.0.2.9 is not banned"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], part: str
) -> None:
    write_settings(tmp_path)
    assert part in refusal(tmp_path, *arguments)
    assert ban(tmp_path, "list") == ""


def test_a_whole_network_that_is_counted_as_one_can_be_named(tmp_path: Path) -> None:
    write_settings(tmp_path)
    assert ban(tmp_path, "add", "2001:db8::7/64", "--forever") == "banned: 2001:db8::/64 forever\n"
    assert ban(tmp_path, "lift", "2001:db8::/64") == "lifted: 2001:db8::/64\n"


@pytest.mark.parametrize("arguments", [["list"], ["lift", "192.0.2.7"], ["add", "192.0.2.7"]])
def test_a_redis_that_is_away_is_one_line_without_its_password(tmp_path: Path, arguments: list[str]) -> None:
    write_settings(tmp_path, 'redis_url = "redis://:hush-hush@127.0.0.1:1/0"')
    line = refusal(tmp_path, *arguments)
    assert "auth.redis_url" in line
    assert "hush" not in line


def test_an_audit_log_names_what_was_done(tmp_path: Path) -> None:
    write_settings(tmp_path, 'audit_log = "audit.jsonl"')
    ban(tmp_path, "add", "192.0.2.7", "--forever", "--reason", "rude")
    ban(tmp_path, "lift", "192.0.2.7")
    added, lifted = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (added["event"], added["address"], added["ban_reason"]) == ("ban_added", "192.0.2.7", "rude")
    assert (lifted["event"], lifted["address"]) == ("ban_lifted", "192.0.2.7")

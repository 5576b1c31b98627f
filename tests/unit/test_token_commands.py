"""The token commands, as scripts and people meet them."""

import json
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from service.auth.tokens import TokenRecord, TokenStore
from service.errors import ConfigError
from service.rate import parse_rate

with warnings.catch_warnings():
    # typer asks for names that click 8.5 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from service.cli import app
    from service.cli.duration import parse_duration
    from service.cli.token_table import lines

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _own_folder_and_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("TIBER_")]:
        monkeypatch.delenv(name)
    yield
    structlog.reset_defaults()


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    """What a service that runs beside the commands has."""
    return TokenStore(tmp_path / "var" / "tokens.json")


def token(*arguments: str) -> str:
    """What a command that succeeds writes, which is nothing to stderr."""
    done = CliRunner().invoke(app, ["token", *arguments])
    assert (done.exit_code, done.stderr) == (0, ""), done
    return done.stdout


def refusal(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["token", *arguments])
    assert isinstance(done.exception, ConfigError), done.output
    assert done.stdout == ""
    assert "\n" not in done.exception.message
    return done.exception.message


def at_terminal(*arguments: str, columns: int) -> str:
    """What a person sees of a command, stdout and stderr together."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "token", *arguments],
        stdout=secondary,
        stderr=secondary,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "dumb"},
    )
    os.close(secondary)
    shown = b""
    try:
        while part := os.read(primary, 4096):
            shown += part
    except OSError:
        pass  # Linux's way to say that nobody writes any more
    os.close(primary)
    assert process.wait(60) == 0
    return shown.decode().replace("\r\n", "\n")


def verified(store: TokenStore, text: str) -> TokenRecord:
    record = store.verify(text)
    assert isinstance(record, TokenRecord), record
    return record


def test_create_prints_the_token_alone_and_it_works(store: TokenStore) -> None:
    text = token("create", "alice")
    assert text.endswith("\n")
    assert len(text.split()) == 1
    record = verified(store, text.strip())
    assert (record.name, record.expires_at, record.models) == ("alice", None, ())
    assert (record.rate, record.max_concurrent) == (None, None)


def test_create_keeps_all_that_was_said(store: TokenStore) -> None:
    said = ["--expires=90d", "--model=a", "--model=b", "--rate=10/s", "--burst=25", "--max-concurrent=3"]
    record = verified(store, token("create", "shop", *said).strip())
    assert record.created_at is not None
    assert record.expires_at == record.created_at + timedelta(days=90)
    assert (record.models, record.max_concurrent) == (("a", "b"), 3)
    assert record.rate == parse_rate("10/s", 25)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            ["--expires", "3y"],
            "--expires '3y' is no length of time: write a whole number and s, m, h, d or w",
        ),
        (["--expires", "-1d"], "--expires"),
        (["--expires", "1.5d"], "--expires"),
        (["--expires", "999999999w"], "--expires"),
        (["--expires", "0s"], "more than 0"),
        (["--burst", "5"], "--burst needs --rate"),
        (["--rate", "fast"], "'fast' is no rate: write a number above 0 and /s, /m or /h"),
        (["--rate", "1/s", "--burst", "1000000"], "a burst must be from 1 to"),
        (["--model", ""], "can't be a model's name"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_makes_no_token(
    tmp_path: Path, said: list[str], told: str
) -> None:
    assert told in refusal("create", "shop", *said)
    assert not (tmp_path / "var" / "tokens.json").exists()


def test_rotate_prints_the_new_token_and_both_work(store: TokenStore) -> None:
    old = token("create", "alice", "--model", "a", "--rate", "5/m").strip()
    new = token("rotate", "alice").strip()
    first, second = verified(store, old), verified(store, new)
    assert first.expires_at is not None
    assert first.rotated_at is not None
    assert first.expires_at - first.rotated_at == timedelta(days=1)
    assert (second.models, second.rate, second.expires_at) == (("a",), first.rate, None)


def test_rotate_without_a_grace_ends_the_old_one_at_once(store: TokenStore) -> None:
    old = token("create", "alice").strip()
    new = token("rotate", "alice", "--grace", "0s").strip()
    assert store.verify(old) == "expired"
    verified(store, new)


def test_rotate_says_what_is_wrong() -> None:
    assert "see: tiber-serve token list" in refusal("rotate", "nobody")
    assert "--grace 'soon'" in refusal("rotate", "nobody", "--grace", "soon")


def test_a_name_in_use_is_told_how_to_go_on() -> None:
    token("create", "alice")
    assert "tiber-serve token rotate alice" in refusal("create", "alice")


def test_revoke_ends_every_secret(store: TokenStore) -> None:
    texts = [token("create", "alice").strip(), token("rotate", "alice").strip()]
    assert token("revoke", "alice") == "revoked: alice\n"
    assert [store.verify(text) for text in texts] == ["wrong_token"] * 2
    assert token("list") == ""


def test_list_for_scripts_has_a_line_of_tabs_for_each() -> None:
    created = parse_rate("10/s", 25)
    records = [
        TokenRecord(name="a", id="id-a", created_at=NOW),
        TokenRecord(
            name="b",
            id="id-b",
            created_at=NOW,
            expires_at=NOW + 60 * MINUTE,
            last_used_at=NOW + MINUTE,
            models=("x", "y"),
            rate=created,
            max_concurrent=3,
        ),
        TokenRecord(name="c", id="id-c", created_at=NOW, expires_at=NOW),
        TokenRecord(name="a", id="id-d", created_at=NOW, rotated_at=NOW, expires_at=NOW + MINUTE),
        TokenRecord(name="a", id="id-e", created_at=NOW, rotated_at=NOW, expires_at=NOW),
    ]
    iso = "2026-11-05T12:00:00Z"
    later = "2026-11-05T13:00:00Z"
    assert [line.split("\t") for line in lines(records, now=NOW)] == [
        ["a", "id-a", iso, "", "", "", "", "", "valid"],
        ["b", "id-b", iso, later, "2026-11-05T12:01:00Z", "x,y", "10/s burst 25", "3", "valid"],
        ["c", "id-c", iso, iso, "", "", "", "", "expired"],
        ["a", "id-d", iso, "2026-11-05T12:01:00Z", "", "", "", "", "rotated out, valid"],
        ["a", "id-e", iso, iso, "", "", "", "", "rotated out, expired"],
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("10/s", "10/s burst 10"),
        ("600/m", "10/s burst 10"),
        ("1000/h", "1000/h burst 1"),
        ("5/m", "5/m burst 1"),
        ("0.5/h", "0.000138889/s burst 1"),
        ("2.5/s", "150/m burst 2"),
    ],
)
def test_list_shows_a_rate_as_one_would_write_it(said: str, shown: str) -> None:
    record = TokenRecord(name="a", id="b", created_at=NOW, rate=parse_rate(said))
    assert lines([record], now=NOW)[0].split("\t")[6] == shown


def test_list_as_json_has_all_of_it_and_no_secret() -> None:
    old = token(
        "create", "alice", "--expires", "2w", "--model", "a", "--rate", "10/s", "--burst", "25"
    ).strip()
    new = token("rotate", "alice", "--grace", "1h").strip()
    told = token("list", "--json")
    first, second = json.loads(told)
    assert (first["id"], second["id"]) == (old.split("_")[1], new.split("_")[1])
    assert (first["state"], second["state"]) == ("rotated out, valid", "valid")
    assert first["rotated_at"] == second["created_at"]
    assert (
        second.items()
        >= {
            "name": "alice",
            "last_used_at": None,
            "rotated_at": None,
            "models": ["a"],
            "rate": "10/s",
            "burst": 25,
            "max_concurrent": None,
        }.items()
    )
    for text in (old, new):
        assert text.split("_")[2] not in told


def test_list_as_json_without_tokens_is_an_empty_list() -> None:
    assert json.loads(token("list", "--json")) == []


def test_a_person_sees_a_table_and_hints(store: TokenStore) -> None:
    shown = at_terminal("create", "alice", columns=120)
    text, hint = shown.splitlines()
    verified(store, text)
    assert "Authorization: Bearer TOKEN" in hint
    assert text not in hint
    store.create("bob", models=["a[bold]"])
    wide = at_terminal("list", columns=120)
    header, *rows = wide.splitlines()
    assert header.split() == ["name", "id", "created", "models", "state"]
    assert "times in UTC" in wide
    assert [row.split()[0] for row in rows[:2]] == ["alice", "bob"]
    assert "a[bold]" in rows[1]
    for record in store.list():
        assert record.id in wide


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600), ("0s", 0)],
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert parse_duration(text, option="--grace") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "d", "5 d", "-5d", "5D", "1y", "1e3s", "٣d", "36501d", "9" * 30 + "s"]
)
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ConfigError, match="--grace"):
        parse_duration(text, option="--grace")


@pytest.mark.parametrize("command", ["create", "list", "rotate", "revoke"])
def test_help_teaches_with_examples(command: str) -> None:
    assert f"tiber-serve token {command}" in token(command, "--help")
    assert "Examples:" in token(command, "--help")


def test_changes_are_written_to_the_audit_log_without_a_secret(tmp_path: Path) -> None:
    (tmp_path / "tiber-serve.toml").write_text('[auth]\naudit_log = "audit.log"')
    texts = [token("create", "alice").strip(), token("rotate", "alice", "--grace", "0s").strip()]
    token("revoke", "alice")
    written = (tmp_path / "audit.log").read_text()
    first, second, third = map(json.loads, written.splitlines())
    ids = [text.split("_")[1] for text in texts]
    assert first.items() >= {"event": "token_created", "token_name": "alice", "token_id": ids[0]}.items()
    assert (
        second.items()
        >= {"event": "token_rotated", "token_name": "alice", "token_id": ids[1], "grace": "0s"}.items()
    )
    assert third.items() >= {"event": "token_revoked", "token_name": "alice"}.items()
    for text in texts:
        assert text.split("_")[2] not in written


def test_a_token_is_shown_also_where_the_audit_log_cant_be_written(store: TokenStore, tmp_path: Path) -> None:
    (tmp_path / "tiber-serve.toml").write_text('[auth]\naudit_log = "nowhere/audit.log"')
    done = CliRunner().invoke(app, ["token", "create", "alice"])
    assert isinstance(done.exception, ConfigError)
    assert "it was done" in done.exception.message
    verified(store, done.stdout.strip())

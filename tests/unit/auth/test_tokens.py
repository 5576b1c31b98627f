"""The store of tokens: what it hands out, keeps, refuses."""

import base64
import json
import multiprocessing
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.auth import token_file
from service.auth.token_text import hash_token
from service.auth.tokens import TokenStore
from service.errors import ConfigError

CREATED_AT = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "tiber" / "tokens.json"


def new_store(path: Path, *, clock: Clock | None = None, environment_token: str | None = None) -> TokenStore:
    return TokenStore(
        path, clock=clock or Clock(), environment_token=environment_token, utc_now=lambda: CREATED_AT
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def create_many(path: Path, prefix: str) -> None:
    for number in range(10):
        new_store(path).create(f"{prefix}{number}")


def test_token_has_its_form_and_192_bits(path: Path) -> None:
    text = new_store(path).create("laptop")
    matched = re.fullmatch(r"tsv_([A-Za-z0-9]{8})_([A-Za-z0-9]+)", text)
    assert matched
    assert 62 ** len(matched[2]) >= 2**192
    assert new_store(path).create("desk") != text


def test_created_token_is_listed_and_verified(path: Path) -> None:
    store = new_store(path)
    text = store.create("laptop")
    (record,) = store.list()
    assert (record.name, record.created_at) == ("laptop", CREATED_AT)
    assert text.split("_")[1] == record.id
    assert store.verify(text) == record
    assert new_store(path).verify(text) == record


def test_wrong_tokens_are_nobodys(path: Path) -> None:
    store = new_store(path)
    text = store.create("laptop")
    for wrong in ("", text[:-1], text + "x", text.upper(), hash_token(text), "\udcff", "é"):
        assert store.verify(wrong) is None


def test_file_holds_the_hash_and_never_the_secret(path: Path) -> None:
    text = new_store(path).create("laptop")
    content = path.read_text()
    secret = text.split("_")[2]
    assert secret not in content
    assert base64.b64encode(secret.encode()).decode() not in content
    assert json.loads(content)["tokens"][0]["sha256"] == hash_token(text)


def test_files_are_private_and_new_folders_too(path: Path) -> None:
    new_store(path).create("laptop")
    assert mode(path) == 0o600
    assert [mode(file) for file in path.parent.iterdir()] == [0o600, 0o600]  # the lock, the tokens
    assert (mode(path.parent), mode(path.parent.parent)) == (0o700, 0o700)


def test_several_tokens_are_each_known_by_name(path: Path) -> None:
    store = new_store(path)
    texts = {name: store.create(name) for name in ("a", "b.c", "D_e-1")}
    for name, text in texts.items():
        record = store.verify(text)
        assert record is not None
        assert record.name == name


def test_revoked_token_is_refused_at_once_and_others_stay(path: Path) -> None:
    store = new_store(path)
    gone, kept = store.create("gone"), store.create("kept")
    store.revoke("gone")
    assert store.verify(gone) is None
    assert store.verify(kept) is not None
    assert [record.name for record in store.list()] == ["kept"]


@pytest.mark.parametrize("name", ["", "a" * 65, "with space", "naïve", "a/b", "x\n", "VALID_TOKEN"])
def test_names_not_allowed_are_refused(path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="can't name a token"):
        new_store(path).create(name)
    assert not path.exists()


def test_name_taken_and_name_unknown_are_refused(path: Path) -> None:
    store = new_store(path)
    store.create("laptop")
    with pytest.raises(ConfigError, match="laptop is there already"):
        store.create("laptop")
    with pytest.raises(ConfigError, match="No token is named 'desk'"):
        store.revoke("desk")


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o660, 0o601])
def test_file_open_to_others_is_refused_with_the_command_to_run(path: Path, open_mode: int) -> None:
    text = new_store(path).create("laptop")
    path.chmod(open_mode)
    for use in (
        lambda: new_store(path).list(),
        lambda: new_store(path).verify(text),
        lambda: new_store(path).create("b"),
    ):
        with pytest.raises(ConfigError, match=f"Run: chmod 600 {re.escape(str(path))}"):
            use()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"schema_version": 2}',
        '{"tokens": [{"name": "a"}]}',
        '{"tokens": [], "more": 1}',
        '{"tokens": [{"name": "a", "id": "b", "sha256": "short", "created_at": "2026-01-01T00:00:00Z"}]}',
    ],
)
def test_broken_file_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is broken"):
        new_store(path).list()
    with pytest.raises(ConfigError, match="is broken"):
        new_store(path).create("laptop")
    assert path.read_text() == content


def test_folder_in_the_files_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o700)
    with pytest.raises(ConfigError, match="can't be read"):
        new_store(path).list()


def test_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(path)
    text = store.create("laptop")
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_file.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        store.create("desk")
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}
    assert store.verify(text) is not None


def test_processes_writing_at_once_lose_no_token(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=create_many, args=(path, prefix)) for prefix in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(new_store(path).list()) == 20


def test_environment_token_is_accepted_beside_the_file(path: Path) -> None:
    store = new_store(path, environment_token="from-the-environment")
    text = store.create("laptop")
    record = store.verify("from-the-environment")
    assert record is not None
    assert (record.name, record.created_at) == ("VALID_TOKEN", None)
    assert store.verify(text) is not None
    assert [one.name for one in store.list()] == ["laptop"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_environment_token_opens_nothing(path: Path, nothing: str | None) -> None:
    assert new_store(path, environment_token=nothing).verify("") is None


def test_environment_token_no_header_can_carry_is_refused_without_showing_it(path: Path) -> None:
    with pytest.raises(ConfigError, match="VALID_TOKEN") as caught:
        new_store(path, environment_token="two words")
    assert "two words" not in caught.value.message

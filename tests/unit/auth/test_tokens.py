"""The store of tokens: what it hands out, keeps, refuses."""

import base64
import json
import multiprocessing
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.auth import private_file
from service.auth.token_text import checksum, hash_token, new_token
from service.auth.tokens import TokenRecord, TokenStore
from service.errors import ConfigError
from service.rate import RateLimit

HASH = "0" * 64
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


def stored(*before: str, **fields: object) -> str:
    """A file with one token, good but for `fields`, after those of the file `before`."""
    token = {"name": "a", "id": "b", "sha256": HASH, "created_at": "2026-01-01T00:00:00Z", **fields}
    tokens = [one for file in before for one in json.loads(file)["tokens"]]
    return json.dumps({"schema_version": 2, "tokens": [*tokens, token]})


def write_version_1(path: Path, text: str) -> None:
    token = {
        "name": "old",
        "id": "AbCdEfGh",
        "sha256": hash_token(text),
        "created_at": "2026-01-01T00:00:00Z",
    }
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"schema_version": 1, "tokens": [token]}))
    path.chmod(0o600)


def create_many(path: Path, prefix: str) -> None:
    for number in range(10):
        new_store(path).create(f"{prefix}{number}")


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
    another = new_token()[1]
    for wrong in ("", text[:-1], text + "x", another, hash_token(text), "\udcff", "é"):
        assert store.verify(wrong) == "wrong_token"


def test_misspelt_tokens_are_told_apart(path: Path) -> None:
    store = new_store(path)
    text = store.create("laptop")
    for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), text.swapcase().replace("TSV", "tsv")):
        assert store.verify(wrong) == "malformed"


def test_token_of_the_old_form_without_a_checksum_still_works(path: Path) -> None:
    text = "tsv_AbCdEfGh_" + "x" * 33
    write_version_1(path, text)
    record = new_store(path).verify(text)
    assert isinstance(record, TokenRecord)
    assert (record.name, record.expires_at, record.models) == ("old", None, ())


def test_file_of_version_1_is_written_as_2_at_the_next_change(path: Path) -> None:
    write_version_1(path, "anything")
    before = path.read_bytes()
    store = new_store(path)
    store.list()
    assert path.read_bytes() == before
    store.create("new")
    assert json.loads(path.read_bytes())["schema_version"] == 2
    assert [record.name for record in store.list()] == ["old", "new"]
    assert isinstance(store.verify("anything"), TokenRecord)


def test_what_a_token_may_do_is_kept(path: Path) -> None:
    text = new_store(path).create(
        "shop", expires_in=timedelta(days=90), models=["a", "b"], rate="10/s", burst=25, max_concurrent=3
    )
    record = new_store(path).verify(text)
    assert isinstance(record, TokenRecord)
    assert record.expires_at == CREATED_AT + timedelta(days=90)
    assert (record.models, record.rate) == (("a", "b"), RateLimit(burst=25, window_s=2.5))
    assert record.max_concurrent == 3
    stored = json.loads(path.read_bytes())["tokens"][0]
    assert (stored["rate"], stored["burst"]) == ("10/s", 25)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"rate": "10"}, "'10' is no rate"),
        ({"rate": "0/s"}, "no rate"),
        ({"burst": 5}, "a burst needs a rate"),
        ({"rate": "1/s", "burst": 0}, "a burst must be"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"models": [" "]}, "model's name"),
        ({"models": ["a\tb"]}, "model's name"),
    ],
)
def test_limits_that_make_no_sense_are_refused(path: Path, wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        new_store(path).create("shop", **wanted)
    assert not path.exists()


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
        assert isinstance(record, TokenRecord)
        assert record.name == name


def test_revoked_token_is_refused_at_once_and_others_stay(path: Path) -> None:
    store = new_store(path)
    gone, kept = store.create("gone"), store.create("kept")
    store.revoke("gone")
    assert store.verify(gone) == "wrong_token"
    assert isinstance(store.verify(kept), TokenRecord)
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


def test_link_to_the_file_is_followed_and_stays_one(path: Path, tmp_path: Path) -> None:
    text = new_store(path).create("laptop")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    added = new_store(link).create("desk")
    assert link.is_symlink()
    assert all(isinstance(new_store(path).verify(one), TokenRecord) for one in (text, added))
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=f"Run: chmod 600 {re.escape(str(link))}"):
        new_store(link).list()


def test_file_of_another_user_is_refused_with_what_to_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_store(path).create("laptop")
    if os.geteuid() == 0:
        os.chown(path, 54321, 54321)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(ConfigError, match=r"belongs to .*, who can read and change it\. Run this as .*chown"):
        new_store(path).list()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="belongs to"):
        new_store(path).create("desk")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"schema_version": 3, "tokens": []}',
        '{"schema_version": "2", "tokens": []}',
        stored(created_at="2026-01-01T00:00:00"),
        stored(expires_at=1700000000),
        stored(expires_at="never"),
        stored(rate="often"),
        stored(burst=3),
        stored(burst="3", rate="1/s"),
        stored(max_concurrent=-1),
        stored(models="all"),
        stored(models=[""]),
        stored(sha256="short"),
        stored(id=""),
        stored(stored(), id="other"),
        stored(stored(), name="other"),
        '{"tokens": [{"name": "a"}]}',
        '{"tokens": [], "more": 1}',
    ],
)
def test_broken_file_is_refused_and_left_alone(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is broken") as caught:
        new_store(path).list()
    assert "\n" not in caught.value.message
    assert HASH not in caught.value.message
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

    monkeypatch.setattr(private_file.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        store.create("desk")
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.lock"}
    assert isinstance(store.verify(text), TokenRecord)


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
    assert isinstance(record, TokenRecord)
    assert (record.name, record.created_at) == ("VALID_TOKEN", None)
    assert isinstance(store.verify(text), TokenRecord)
    assert [one.name for one in store.list()] == ["laptop"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_environment_token_opens_nothing(path: Path, nothing: str | None) -> None:
    assert new_store(path, environment_token=nothing).verify("") == "wrong_token"


def test_environment_token_no_header_can_carry_is_refused_without_showing_it(path: Path) -> None:
    with pytest.raises(ConfigError, match="VALID_TOKEN") as caught:
        new_store(path, environment_token="two words")
    assert "two words" not in caught.value.message


@pytest.mark.parametrize("misspelt", [False, True])
def test_environment_token_may_look_like_one_of_ours(path: Path, misspelt: bool) -> None:
    body = "tsv_AbCdEfGh_" + "x" * 33
    text = body + ("000000" if misspelt else checksum(body))
    assert isinstance(new_store(path, environment_token=text).verify(text), TokenRecord)

"""Publishing, to the loopback hub alone."""

from pathlib import Path

import pytest

from export.errors import ConversionError
from export.hub.push import publisher
from export.progress import Steps
from export.sources import FolderSource, HubSource, Source
from service.errors import ConfigError
from tests.support.hub_server import Hub
from tests.support.tiny import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-int8"
    (folder / "additional_chat_templates").mkdir(parents=True)
    write_tiny_model(folder)
    (folder / "openvino_model.bin").write_bytes(bytes(3 << 20))
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("{{ tools }}")
    return folder


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")


def push(hub: Hub, folder: Path, source: Source, steps: Steps, *, private: bool = False) -> str:
    return publisher("me/tiny-int8", private=private)(folder, source, steps)


@pytest.mark.usefixtures("token")
def test_every_file_arrives_with_a_card_in_one_commit(hub: Hub, folder: Path, steps: Steps) -> None:
    address = push(hub, folder, HubSource(repo_id="org/name", revision=None), steps)
    assert address.startswith(f"{hub.endpoint}/me/tiny-int8/commit/")
    there = dict(hub.uploads.files["me/tiny-int8"])
    card = there.pop("README.md").decode()
    assert there == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert hub.uploads.commits == ["Converted by tiber-serve: tiny-int8"]
    assert hub.uploads.created == {"me/tiny-int8": "public"}
    assert "license: mit\nbase_model: org/name\nbase_model_relation: quantized\n" in card
    assert not (folder / "README.md").exists()


@pytest.mark.usefixtures("token")
def test_private_makes_the_repository_private(hub: Hub, folder: Path, steps: Steps) -> None:
    push(hub, folder, FolderSource(path=folder), steps, private=True)
    assert hub.uploads.created == {"me/tiny-int8": "private"}


@pytest.mark.usefixtures("token")
def test_private_refuses_a_repository_that_is_public(hub: Hub, folder: Path, steps: Steps) -> None:
    hub.uploads.created["me/tiny-int8"] = "public"
    with pytest.raises(ConfigError, match="exists and is public"):
        push(hub, folder, FolderSource(path=folder), steps, private=True)
    assert hub.uploads.commits == []


@pytest.mark.usefixtures("token")
def test_the_token_goes_to_the_hub_and_not_into_the_card(hub: Hub, folder: Path, steps: Steps) -> None:
    push(hub, folder, FolderSource(path=folder), steps)
    assert {asked.token for asked in hub.asked if asked.method == "POST"} == {"Bearer hf_secret"}
    assert b"hf_secret" not in hub.uploads.files["me/tiny-int8"]["README.md"]


def test_without_a_token_it_says_how_to_log_in_before_anything_is_done(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="needs a token that may write there: run hf auth login"):
        publisher("me/tiny-int8", private=False)
    assert hub.asked == []


def test_what_is_no_hub_id_is_refused() -> None:
    with pytest.raises(ConfigError, match="write it as ORG/NAME"):
        publisher("tiny-int8", private=False)


@pytest.mark.usefixtures("token")
def test_a_hub_that_refuses_leaves_the_folder_and_says_so(hub: Hub, folder: Path, steps: Steps) -> None:
    hub.uploads.refuses = True
    with pytest.raises(ConversionError, match="is converted and could not be published to me/tiny-int8"):
        push(hub, folder, FolderSource(path=folder), steps)
    assert hub.uploads.files == {}
    assert (folder / "openvino_model.bin").is_file()

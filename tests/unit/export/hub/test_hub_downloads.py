"""What is downloaded, and how it goes on after an end in the middle."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

from export.errors import ConversionError
from export.hub.transfer import Transfer
from tests.support.hub_fetching import Fetching
from tests.support.hub_server import Hub, Repository
from tests.support.safetensors_bytes import llama_files

MIB = 1 << 20
CHUNK_BYTES = 10 * MIB  # what huggingface_hub writes at once


def test_the_folder_holds_what_the_hub_has_under_its_commit(hub: Hub, fetch: Fetching) -> None:
    repository = hub.repositories["org/name"]
    folder = fetch(revision="v1")
    assert folder.name == repository.commit
    names = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert names == {name: data for name, data in repository.files.items() if name != "README.md"}


def test_the_cache_is_the_one_that_huggingfaces_own_libraries_read(hub: Hub, fetch: Fetching) -> None:
    from huggingface_hub import snapshot_download

    folder = fetch(revision="v1")
    hub.asked.clear()
    assert Path(snapshot_download("org/name", revision="v1", local_files_only=True)) == folder
    kept = snapshot_download("org/name", revision="v1", ignore_patterns=["README.md"])
    assert Path(kept) == folder
    assert [asked for asked in hub.asked if "/resolve/" in asked.path] == []


def test_a_second_run_downloads_nothing(hub: Hub, fetch: Fetching) -> None:
    fetch()
    hub.asked.clear()
    fetch()
    assert [asked.path for asked in hub.asked] == ["/api/models/org/name"]


def test_the_sizes_are_said_before_the_download(hub: Hub, fetch: Fetching) -> None:
    hub.repositories["org/name"] = Repository(files=llama_files(5 * MIB))
    fetch()
    line = fetch.printed.getvalue().splitlines()[0]
    assert line.startswith("org/name: 5 MiB to download of 5 MiB (")
    assert "of memory (" in line


def test_after_a_cut_only_the_missing_range_is_asked_for(hub: Hub, fetch: Fetching) -> None:
    repository = Repository(files=llama_files(35 * MIB), cut_after={"model.safetensors": 25 * MIB})
    hub.repositories["org/name"] = repository
    with pytest.raises(ConversionError) as caught:
        fetch()
    assert "are left: the same command goes on from there" in caught.value.message
    repository.cut_after.clear()
    hub.asked.clear()
    folder = fetch()
    assert [asked.range for asked in hub.downloads("model.safetensors")] == [f"bytes={2 * CHUNK_BYTES}-"]
    assert (folder / "model.safetensors").read_bytes() == repository.files["model.safetensors"]
    assert list((folder.parent.parent / "blobs").glob("*.incomplete")) == []


def test_a_damaged_download_is_removed_and_said(hub: Hub, fetch: Fetching, tmp_path: Path) -> None:
    hub.repositories["org/name"].damaged.add("model.safetensors")
    with pytest.raises(ConversionError, match=r"arrived damaged .* run the same command again"):
        fetch()
    digest = hashlib.sha256(hub.repositories["org/name"].files["model.safetensors"]).hexdigest()
    assert list(tmp_path.glob(f"cache/*/blobs/{digest}*")) == []
    hub.repositories["org/name"].damaged.clear()
    fetch()


def test_a_small_file_is_checked_too(hub: Hub, fetch: Fetching) -> None:
    hub.repositories["org/name"].damaged.add("tokenizer.json")
    with pytest.raises(ConversionError, match=r"tokenizer\.json arrived damaged"):
        fetch()


def test_a_file_that_was_damaged_in_the_cache_is_found_removed_and_fetched_again(
    hub: Hub, fetch: Fetching
) -> None:
    folder = fetch()
    (folder / "model.safetensors").resolve().write_bytes(b"rotten")
    with pytest.raises(ConversionError, match=r"model\.safetensors is damaged in the hub's cache"):
        fetch()
    assert (fetch() / "model.safetensors").read_bytes() == (
        hub.repositories["org/name"].files["model.safetensors"]
    )


def test_an_interrupt_leaves_within_a_second_and_keeps_what_arrived(
    hub: Hub, fetch: Fetching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs must not hold up who wants to leave."""
    hub.repositories["org/name"] = Repository(files=llama_files(60 * MIB), slow={"model.safetensors": 0.1})

    class Left(BaseException):
        pass

    began_s = time.monotonic()

    real_run = Transfer.run

    def run(self: Transfer, jobs: int, advance: object) -> None:
        def leave(count: int) -> None:
            if count >= CHUNK_BYTES:
                raise Left

        real_run(self, jobs, leave)

    monkeypatch.setattr(Transfer, "run", run)
    with pytest.raises(Left):
        fetch()
    assert time.monotonic() - began_s < 15  # the whole download takes a minute and more
    assert "are left to download: the same command goes on from there" in fetch.printed.getvalue()
    assert [path.stat().st_size >= CHUNK_BYTES for path in tmp_path.glob("cache/*/blobs/*.incomplete")] == [
        True
    ]


def test_two_at_once_download_each_file_once(hub: Hub, fetch: Fetching) -> None:
    hub.repositories["org/name"] = Repository(files=llama_files(20 * MIB), slow={"model.safetensors": 0.02})
    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.downloads("model.safetensors")) == 1


def test_jobs_is_how_many_files_are_downloaded_at_once(hub: Hub, fetch: Fetching) -> None:
    shards = {
        f"model-0000{n}-of-00004.safetensors": llama_files(2 * MIB)["model.safetensors"] + b""
        for n in range(1, 5)
    }
    files = {name: data for name, data in llama_files().items() if name != "model.safetensors"}
    repository = Repository(files=files | {name: data + name.encode() for name, data in shards.items()})
    repository.slow = dict.fromkeys(shards, 0.1)
    hub.repositories["org/name"] = repository
    fetch(jobs=2)
    assert hub.most_at_once == 2

"""Without a network: what is in the cache, whole, and nothing else."""

import json
from pathlib import Path

import pytest

from export.errors import ConversionError
from tests.support.hub_fetching import Fetching
from tests.support.hub_server import Hub, Repository
from tests.support.safetensors_bytes import llama_files


def refusal(fetch: Fetching, revision: str | None = None) -> str:
    with pytest.raises(ConversionError) as caught:
        fetch(revision=revision, offline=True)
    return caught.value.message


def test_what_was_downloaded_is_used_without_a_single_request(hub: Hub, fetch: Fetching) -> None:
    folder = fetch(revision="v1")
    hub.asked.clear()
    assert fetch(revision="v1", offline=True) == folder
    assert fetch(revision=folder.name, offline=True) == folder
    assert hub.asked == []


def test_what_was_not_downloaded_is_named_with_the_way_to_get_it(hub: Hub, fetch: Fetching) -> None:
    message = refusal(fetch)
    assert "org/name is not in the hub's cache" in message
    assert "run the same command once with a network and without --offline" in message
    fetch(revision="v1")
    assert "org/name at revision v9 is not in the hub's cache" in refusal(fetch, "v9")
    assert [asked for asked in hub.asked if "v9" in asked.path] == []


def test_a_half_download_is_not_taken_for_whole(hub: Hub, fetch: Fetching) -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    files = llama_files()
    weights = files.pop("model.safetensors")
    index = json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}).encode()
    files |= {"model.safetensors.index.json": index} | dict.fromkeys(shards, weights)
    hub.repositories["org/name"] = Repository(files=files)
    folder = fetch()
    (folder / shards[1]).unlink()
    assert f"in the hub's cache without {shards[1]}: run the same command once" in refusal(fetch)


def test_a_description_alone_is_not_taken_for_whole(hub: Hub, fetch: Fetching) -> None:
    folder = fetch()
    (folder / "model.safetensors").resolve().unlink()
    assert "holds no weights" in refusal(fetch)


def test_damage_in_the_cache_is_found_without_a_network(hub: Hub, fetch: Fetching) -> None:
    folder = fetch()
    blob: Path = (folder / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    assert "model.safetensors is damaged in the hub's cache" in refusal(fetch)


def test_a_hub_that_can_not_be_reached_is_done_without(
    hub: Hub, fetch: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert fetch() == folder
    assert "The hub can't be reached: using what was downloaded before" in fetch.printed.getvalue()

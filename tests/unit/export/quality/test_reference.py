import json
import struct
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quality_fakes import some_measures
from rich.console import Console

from export.existing import REPORT_FILE
from export.progress import Steps
from export.quality.errors import NotVerifiableError
from export.quality.layers import group_name
from export.quality.need import choose_exactness, memory_need, parameter_count
from export.quality.openvino_model import SERVED
from export.quality.origin import local_files, recorded_source
from export.quality.reference import choose_runtime
from export.quality.report import FILE_NAME
from export.quality.verification import refuse_unverifiable
from export.request import Request
from export.sources import DEFAULT, FolderSource, HubSource
from service.errors import ConfigError, TiberError
from service.manifest import Manifest, Source, read_manifest
from service.tuning.machine_classes import CPU_CLASSES
from tests.support.gguf_files import TinyModel, write_tiny_gguf, write_tiny_parts
from tests.support.tiny import write_tiny_model
from tests.support.vocabularies import small


def manifest_with(tmp_path: Path, **changes: object) -> Manifest:
    write_tiny_model(tmp_path)
    return read_manifest(tmp_path).model_copy(update=changes)


def gguf(tmp_path: Path, **changes: Any) -> Path:
    write_tiny_gguf(tmp_path / "m.gguf", TinyModel(architecture="llama", vocabulary=small(), **changes))
    return tmp_path / "m.gguf"


def test_the_converted_model_runs_with_what_the_service_sets() -> None:
    for machine in CPU_CLASSES:
        assert dict(SERVED["CPU"]) == dict(machine.properties), machine.name


def test_the_report_is_called_the_same_where_it_is_looked_for() -> None:
    assert REPORT_FILE == FILE_NAME
    assert some_measures().positions == 100


def test_transformers_is_the_reference_where_it_is_installed(tmp_path: Path) -> None:
    assert choose_runtime(gguf(tmp_path), find=lambda _: object()) == "transformers"
    assert choose_runtime(tmp_path, find=lambda _: object()) == "transformers"


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {"llama.rope.scaling.factor": 4.0}},
        {"fields": {"llama.rope.scale_linear": 4.0}},
        {"fields": {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}},
        {"tensors": {"rope_freqs.weight": np.full(64, 2, dtype=np.float32)}},
        {"tensors": {"blk.0.attn_q.bias": np.ones(256, dtype=np.float32)}},
    ],
)
def test_a_gguf_file_that_transformers_reads_in_part_is_its_own_reference(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = gguf(tmp_path, **changes)
    assert choose_runtime(path, find=lambda _: object()) == "openvino"
    with pytest.raises(ConfigError, match="leave --reference out"):
        choose_runtime(path, "transformers", find=lambda _: object())


def test_a_gguf_model_in_parts_is_its_own_reference(tmp_path: Path) -> None:
    model = TinyModel(architecture="llama", vocabulary=small())
    first, *_ = write_tiny_parts(tmp_path, "m", model, tensors_each=8)
    assert choose_runtime(first, find=lambda _: object()) == "openvino"


def test_without_torch_a_gguf_file_is_its_own_reference_and_a_folder_is_refused(tmp_path: Path) -> None:
    without_torch = {"transformers", "gguf"}
    found = lambda name: name if name in without_torch else None  # noqa: E731 - one line says it
    assert choose_runtime(gguf(tmp_path), find=found) == "openvino"
    with pytest.raises(NotVerifiableError, match=r"needs torch: run pip install '\.\[export\]'"):
        choose_runtime(tmp_path, find=found)
    with pytest.raises(NotVerifiableError, match="accelerate"):
        choose_runtime(gguf(tmp_path), "transformers", find=found)


def test_openvino_as_reference_of_a_folder_is_wrong_use(tmp_path: Path) -> None:
    assert choose_runtime(gguf(tmp_path), "openvino") == "openvino"
    with pytest.raises(ConfigError, match="GGUF files"):
        choose_runtime(tmp_path, "openvino")


def test_parameters_are_counted_from_the_files_heads(tmp_path: Path) -> None:
    head = json.dumps({"a": {"shape": [3, 4]}, "b": {"shape": [5]}, "__metadata__": {"x": "y"}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    assert parameter_count(tmp_path) == 17


def test_a_source_that_fits_only_as_stored_is_run_so_and_one_that_does_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"vocab_size": 1000}')
    exact, stored = (
        memory_need(tmp_path, source=8_000_000_000 * size, runtime="transformers") for size in (4, 2)
    )
    assert exact - stored == 16_000_000_000

    def chosen(available: int) -> bool:
        return choose_exactness(
            tmp_path, tmp_path, runtime="transformers", parameters=8_000_000_000, available=available
        )

    assert chosen(exact) is True
    assert chosen(exact - 1) is False
    with pytest.raises(NotVerifiableError, match="on a bigger machine"):
        chosen(stored - 1)


def test_vision_models_and_folders_for_other_engines_are_not_compared(tmp_path: Path) -> None:
    refuse_unverifiable(manifest_with(tmp_path))
    with pytest.raises(NotVerifiableError, match="vision"):
        refuse_unverifiable(manifest_with(tmp_path, task="image-text-to-text"))
    with pytest.raises(NotVerifiableError, match="vllm"):
        refuse_unverifiable(manifest_with(tmp_path, engine="vllm"))


def test_the_default_model_and_hub_models_find_their_source_again(tmp_path: Path) -> None:
    package = Source(kind="package", identity=DEFAULT.identity, sha256=DEFAULT.sha256)
    assert recorded_source(manifest_with(tmp_path, source=package)) == DEFAULT
    hub = Source(kind="hub", identity="org/name", revision="abc")
    assert recorded_source(manifest_with(tmp_path, source=hub)) == HubSource(
        repo_id="org/name", revision="abc"
    )
    with pytest.raises(TiberError, match="--against"):
        recorded_source(manifest_with(tmp_path))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Gather self.model.embed_tokens.weight x", "embedding"),
        ("MatMul self.model.embed_tokens.weight __module.lm_head/aten::linear/MatMul", "head"),
        ("MatMul x __module.model.layers.0.self_attn.q_proj/MatMul", "attention, blocks 0 to 9"),
        ("MatMul x __module.model.layers.9.mlp.up_proj/MatMul", "MLP, blocks 0 to 9"),
        ("MatMul blk.10.attn_output.weight MatMul_7", "attention, blocks 10 to 19"),
        ("MatMul blk.29.ffn_down.weight MatMul_8", "MLP, blocks 20 to 29"),
        ("MatMul output.weight MatMul_9", "head"),
    ],
)
def test_a_matrix_belongs_to_the_group_that_its_name_tells(name: str, group: str) -> None:
    assert group_name(name, 30) == group


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 22, 24, 28, 30, 32, 80])
def test_ranges_of_blocks_cover_every_block_once(blocks: int) -> None:
    for block in range(blocks):
        first, last = map(
            int, group_name(f"MatMul layers.{block}.mlp", blocks).split("blocks ")[1].split(" to ")
        )
        assert first <= block <= last


def test_pickles_of_a_source_are_read_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    source, steps = FolderSource(path=tmp_path), Steps(Console(file=StringIO()))

    def asked(*, allow_pickle: bool) -> Request:
        return Request(
            name="m",
            output=tmp_path / "out",
            weights="int8",
            device="CPU",
            force=False,
            allow_pickle=allow_pickle,
        )

    with pytest.raises(NotVerifiableError, match="pickles can run code: add --allow-pickle"):
        local_files(source, tmp_path, asked(allow_pickle=False), steps)
    assert local_files(source, tmp_path, asked(allow_pickle=True), steps) == tmp_path

from pathlib import Path

import pytest

from export.folder_kind import unconvertible_kind
from export.sources import resolve_source
from service.errors import ConfigError


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ([], "is empty: name the folder"),
        (["notes.txt"], "holds no config.json"),
        (["dataset_info.json", "data-00000-of-00001.arrow"], "is a dataset, not a model"),
        (["README.md", "data/train-00000.parquet"], "is a dataset, not a model"),
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            "is an adapter (LoRA), not a whole model: merge",
        ),
        (["model_index.json", "unet/config.json"], "is a diffusers pipeline"),
        (
            ["config.json", "openvino_model.xml", "openvino_model.bin", "manifest.json"],
            "is converted already",
        ),
        (["config.json", "openvino_language_model.xml", "manifest.json"], "is converted already"),
        (["config.json", "openvino_model.xml", "openvino_model.bin"], "is an OpenVINO model already"),
        (["a-q4.gguf", "b-q8.gguf", "README.md"], "holds GGUF files: name one of them, such as a-q4.gguf"),
        (["consolidated.00.pth", "params.json", "tokenizer.model"], "in its maker's own format"),
        (["snapshot/config.json", "snapshot/model.safetensors"], "name the folder snapshot"),
    ],
)
def test_what_is_no_model_is_named_with_what_to_do(names: list[str], part: str) -> None:
    kind = unconvertible_kind(names)
    assert kind is not None
    assert part in kind
    assert "\n" not in kind


@pytest.mark.parametrize(
    "names",
    [
        ["config.json", "model.safetensors"],
        ["config.json", "adapter_config.json", "model.safetensors"],
        ["config.json", "openvino_language_model.xml", "openvino_language_model.bin"],
    ],
)
def test_a_model_and_optimums_export_of_a_vision_model_pass(names: list[str]) -> None:
    assert unconvertible_kind(names) is None


def test_a_folder_on_the_disk_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"{tmp_path} holds no config.json, .* name the folder inner"):
        resolve_source(str(tmp_path))

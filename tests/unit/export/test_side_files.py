"""What the service reads beside the weights reaches the model's folder, on every way of conversion."""

import json
from pathlib import Path
from typing import Any

from export.gguf.file import GgufFile
from export.gguf.model import write_side_files
from export.huggingface import move_side_files
from tests.unit.export.gguf_bytes import FIELDS


def gguf(**fields: Any) -> GgufFile:
    return GgufFile(path=Path("m.gguf"), fields={**FIELDS, **fields}, tensors={})


def test_the_templates_of_a_gguf_file_are_written_where_transformers_looks(tmp_path: Path) -> None:
    fields = {
        "tokenizer.chat_template": "plain",
        "tokenizer.chat_templates": ["tool_use", "../escape"],
        "tokenizer.chat_template.tool_use": "tools",
        "tokenizer.chat_template.../escape": "bad",
    }
    write_side_files(gguf(**fields), tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jinja")} == {
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
    }
    assert (tmp_path / "chat_template.jinja").read_text() == "plain"
    assert not list(tmp_path.parent.glob("escape*"))


def test_the_special_tokens_of_a_gguf_file_keep_their_ids(tmp_path: Path) -> None:
    write_side_files(gguf(**{"tokenizer.ggml.bos_token_id": 1}), tmp_path)
    assert not list(tmp_path.rglob("*.jinja"))
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 0)


def test_all_that_optimum_wrote_is_moved_but_its_weights(tmp_path: Path) -> None:
    exported, folder = tmp_path / "exported", tmp_path / "model"
    (exported / "additional_chat_templates").mkdir(parents=True)
    folder.mkdir()
    kept = {
        "additional_chat_templates/tool_use.jinja",
        "chat_template.jinja",
        "openvino_detokenizer.xml",
        "openvino_tokenizer.xml",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    parts = {"openvino_language_model.xml", "openvino_vision_embeddings_model.bin"}
    for name in {*kept, *parts, "openvino_model.xml", "openvino_model.bin"}:
        (exported / name).write_text(name)
    move_side_files(exported, folder, "m")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == kept

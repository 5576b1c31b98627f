"""Converts a GGUF file to an OpenVINO model folder, without torch."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.calibration import Encode
from export.errors import ConversionError
from export.gguf.exact import known_geometry, read_exact
from export.gguf.file import GgufFile
from export.progress import Steps
from export.publish import MODEL_FILE
from export.recipe import Recipe
from export.request import Request
from service.manifest import TOKENIZER_FILE

if TYPE_CHECKING:
    from export.quantise import Compression

__all__ = ["convert_gguf", "read_exact", "write_side_files"]

ROLES = {"bos": "bos", "eos": "eos", "pad": "padding"}  # Hugging Face's names and GGUF's


def convert_gguf(
    gguf: GgufFile, request: Request, folder: Path, scratch: Path, steps: Steps
) -> "Compression":
    """Write the model that `gguf` holds into `folder`; return what came of the recipe.

    Raises:
        ConversionError: when the model or its tokenizer's rules are not known, or the file is damaged.
    """
    from export.gguf.openvino_tokenizer import writing_openvino_tokenizer
    from export.gguf.tokenizer import build_tokenizer

    known_geometry(gguf)  # first: it refuses in a second what would fail after minutes
    tokenizer = build_tokenizer(gguf)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    write_side_files(gguf, folder)
    recipe = request.recipe_for(gguf.architecture, None)
    with writing_openvino_tokenizer(folder) as wait:
        read = read_exact(gguf, scratch, steps)
        compression = _write_weights(read, recipe, lambda text: tokenizer.encode(text).ids, folder, steps)
        with steps.step("Writing OpenVINO's tokenizer"):
            wait()
    with steps.step("Checking the tokenizer"):
        _check_tokenizer(folder)
    return compression


def _write_weights(read: Path, recipe: Recipe, encode: Encode, folder: Path, steps: Steps) -> "Compression":
    import openvino

    from export.quantise import compress

    model = openvino.Core().read_model(read / MODEL_FILE)
    with steps.step(f"Compressing the weights to {recipe.weights.upper()}"):
        model, compression = compress(model, recipe, encode)
    with steps.step("Saving"):
        # Matrices are f16 already; norms and RoPE's frequencies stay f32, as the file holds them.
        openvino.save_model(model, folder / MODEL_FILE, compress_to_fp16=False)
    return compression


def write_side_files(gguf: GgufFile, folder: Path) -> None:
    """Write what the file says of the model: its configs with the special tokens, and its chat templates."""
    ids = {
        f"{role}_token_id": gguf.fields.get(f"tokenizer.ggml.{key}_token_id") for role, key in ROLES.items()
    }
    known: dict[str, Any] = {key: int(value) for key, value in ids.items() if value is not None}
    eos = list(gguf.eos_token_ids)
    _write_json(folder / "generation_config.json", known | {"eos_token_id": eos if len(eos) > 1 else eos[0]})
    config = {
        "model_type": gguf.architecture,
        "max_position_embeddings": gguf.context_length,
        "vocab_size": len(gguf.require("tokenizer.ggml.tokens")),
    }
    _write_json(folder / "config.json", config | known)
    _write_chat_templates(gguf, folder)


def _write_chat_templates(gguf: GgufFile, folder: Path) -> None:
    """Write the file's templates where transformers puts them: one for plain chat, others with a name."""
    key = "tokenizer.chat_template"
    if gguf.fields.get(key):
        (folder / "chat_template.jinja").write_text(gguf.fields[key], encoding="utf-8")
    named = folder / "additional_chat_templates"
    for name in gguf.fields.get("tokenizer.chat_templates", []):
        template = gguf.fields.get(f"{key}.{name}")
        if template and name.isidentifier():  # it becomes a file's name
            named.mkdir(exist_ok=True)
            (named / f"{name}.jinja").write_text(template, encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _check_tokenizer(folder: Path) -> None:
    from export.tokenizer_check import find_disagreement

    disagreement = find_disagreement(folder)
    if disagreement is not None:
        raise ConversionError(
            f"the tokenizer built from the file and OpenVINO's own differ in the {disagreement}: "
            "convert the model from its Hugging Face folder instead"
        )

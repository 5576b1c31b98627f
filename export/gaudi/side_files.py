"""Writes what stands beside the weights: description, tokenizer, chat templates."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ConversionError
from export.gaudi.tensors import INDEX_FILE
from export.gguf.file import GgufFile
from export.gguf.model import write_side_files
from export.gguf.tokenizer import build_tokenizer
from export.tokenizer_check import TEXTS
from service.manifest import FILE_NAME, TOKENIZER_FILE

if TYPE_CHECKING:
    from compressed_tensors.quantization import QuantizationConfig

COPIED = ("*.json", "*.jinja", "*.model", "*.txt", "additional_chat_templates/*.jinja")
# What would be false of the new folder; its own are written later.
NOT_COPIED = (INDEX_FILE, FILE_NAME, "pytorch_model.bin.index.json", "report.json")
_ROLES = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}  # Hugging Face's names and GGUF's


def copy_side_files(source: Path, folder: Path) -> None:
    """Copy all but the weights of a Hugging Face folder, and see to a tokenizer.json."""
    for pattern in COPIED:
        for file in source.glob(pattern):
            if file.name not in NOT_COPIED:
                place = folder / file.relative_to(source)
                place.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, place)
    if not (folder / TOKENIZER_FILE).is_file():
        _save_fast_tokenizer(source, folder)


def write_gguf_side_files(gguf: GgufFile, folder: Path) -> None:
    """Write the file's tokenizer as transformers reads it, its chat templates and its generation config."""
    write_side_files(gguf, folder)
    build_tokenizer(gguf).save(str(folder / TOKENIZER_FILE))
    tokens = gguf.require("tokenizer.ggml.tokens")
    ids = {role: gguf.fields.get(f"tokenizer.ggml.{key}_token_id") for role, key in _ROLES.items()}
    config = {f"{role}_token": tokens[number] for role, number in ids.items() if number is not None}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": gguf.context_length}
    _write_json(folder / "tokenizer_config.json", config)


def write_config(folder: Path, config: dict[str, Any], quantization: "QuantizationConfig | None") -> None:
    """Write config.json: the model's own description, its 16-bit type, and how it is quantised."""
    written = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    written |= {"dtype": "bfloat16", "torch_dtype": "bfloat16"}  # the new and the old name: versions differ
    if quantization is not None:
        # Without the empty fields: loaders with an older compressed-tensors may not know them.
        written["quantization_config"] = quantization.model_dump(mode="json", exclude_none=True)
    _write_json(folder / "config.json", written)


def check_tokenizer(folder: Path) -> None:
    """Compare the tokenizer that transformers, and so vLLM, makes of `folder` with its tokenizer.json.

    Raises:
        ConversionError: when it can't be loaded, or they read a text differently.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    try:
        theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a border: what a tokenizer's code raises has no common type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"transformers can't load the model's tokenizer ({reason}): get the whole model"
        ) from error
    ours = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    for text in TEXTS:
        if ours.encode(text, add_special_tokens=False).ids != theirs.encode(text, add_special_tokens=False):
            raise ConversionError(
                f"{TOKENIZER_FILE} and the tokenizer that transformers makes of the folder differ in {text!r}"
                ": correct the model's tokenizer files"
            )


def _save_fast_tokenizer(source: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False).save_pretrained(
            folder
        )
    except Exception as error:  # a border: what a tokenizer's code raises has no common type
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(
            f"{source.name} has no tokenizer that {TOKENIZER_FILE} can be made from ({reason}): "
            "get the whole model"
        ) from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

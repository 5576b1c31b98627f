"""Reads a model folder's chat templates and what its special tokens are called."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.errors import ModelFolderError
from service.manifest import TOKENIZER_FILE

DEFAULT = "default"
TOOL_USE = "tool_use"

_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def read_templates(folder: Path) -> dict[str, str]:
    """The sources of the model's templates, by name; empty when it has none.

    chat_template.jinja and additional_chat_templates/ are where transformers writes them now,
    tokenizer_config.json is where it did.

    Raises:
        ModelFolderError: a file can't be read, or there are templates and none is the default one.
    """
    templates = _from_config(_read_json(folder / "tokenizer_config.json").get("chat_template"))
    files = {DEFAULT: folder / "chat_template.jinja"}
    files |= {path.stem: path for path in folder.glob("additional_chat_templates/*.jinja")}
    for name, path in files.items():
        if path.is_file():
            templates[name] = _read(path)
    if templates and DEFAULT not in templates:
        raise ModelFolderError(
            f"{folder} has chat templates, but none for plain chat: add chat_template.jinja"
        )
    return templates


def read_special_tokens(folder: Path, eos_token_ids: Sequence[int]) -> dict[str, str]:
    """The texts that templates know as `bos_token`, `eos_token` and so on.

    Models converted from GGUF have no tokenizer_config.json: there the ids in the other files, and
    `eos_token_ids` of the manifest, are looked up in tokenizer.json.

    Raises:
        ModelFolderError: a file can't be read.
    """
    named = [_read_json(folder / name) for name in ("special_tokens_map.json", "tokenizer_config.json")]
    if any(named):
        return {role: text for content in named for role in _ROLES if (text := _text(content.get(role)))}
    ids = {role: _first(eos_token_ids) if role == "eos_token" else None for role in _ROLES}
    for name in ("config.json", "generation_config.json"):
        content = _read_json(folder / name)
        ids |= {role: found for role in _ROLES if (found := _first(content.get(f"{role}_id"))) is not None}
    added = _read_json(folder / TOKENIZER_FILE).get("added_tokens", [])
    texts = {token["id"]: token["content"] for token in added}
    return {role: texts[token_id] for role, token_id in ids.items() if token_id in texts}


def _from_config(value: object) -> dict[str, str]:
    if isinstance(value, str):
        return {DEFAULT: value}
    if isinstance(value, list):
        return {entry["name"]: entry["template"] for entry in value}
    return {}


def _text(value: object) -> str | None:
    """A special token is a text, or an object with its text as `content`."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None


def _first(value: object) -> int | None:
    if isinstance(value, list):
        value = next(iter(value), None)
    return value if isinstance(value, int) else None


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(_read(path))
    except ValueError as error:
        raise ModelFolderError(f"{path} is not JSON ({error}): convert the model again") from error
    if not isinstance(content, dict):
        raise ModelFolderError(f"{path} is not a JSON object: convert the model again")
    return content


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path} can't be read ({error}): convert the model again") from error

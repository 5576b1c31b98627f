"""Renders conversations through a converted model's own chat template."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from export.architecture import read_json

TEMPLATE_DATE = "2025-01-01"  # what templates that print the date get: the tokens must not change by the day


class ChatTemplate:
    """A model's template with the special tokens that it names."""

    def __init__(self, source: str, special_tokens: dict[str, str]) -> None:
        """Compile `source`.

        Raises:
            jinja2.TemplateError: when it does not parse.
        """
        # As transformers' apply_chat_template does it; sandboxed, for a template comes with a model.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda _form: TEMPLATE_DATE
        self._compiled = environment.from_string(source)
        self._special_tokens = special_tokens

    @classmethod
    def from_folder(cls, folder: Path, tokenizer: Tokenizer) -> "ChatTemplate | None":
        """The template of a converted folder; None where it has none that parses."""
        path = folder / "chat_template.jinja"
        config = read_json(folder / "tokenizer_config.json")
        source = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
        if not isinstance(source, str):
            return None
        try:
            return cls(source, _special_tokens(config, read_json(folder / "config.json"), tokenizer))
        except jinja2.TemplateError:
            return None

    def render(self, messages: Sequence[dict[str, Any]]) -> str | None:
        """The conversation as the model reads it; None where the template refuses it (a system turn, say)."""
        try:
            return self._compiled.render(
                messages=list(messages), add_generation_prompt=False, **self._special_tokens
            )
        except Exception:  # noqa: BLE001 - what a template does with messages has no common type
            return None


def _special_tokens(config: dict[str, Any], model: dict[str, Any], tokenizer: Tokenizer) -> dict[str, str]:
    """`bos_token` and `eos_token`: by name in the tokenizer's config, else by id in the model's."""
    found = {}
    for key in ("bos_token", "eos_token"):
        value = config.get(key)
        text = value.get("content") if isinstance(value, dict) else value
        token = model.get(f"{key}_id")
        if text is None and isinstance(token, int):
            text = tokenizer.id_to_token(token)
        found[key] = text or ""
    return found


def _to_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - whatever the template has
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> str:
    raise jinja2.TemplateError(message)

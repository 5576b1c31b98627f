"""Finds out what a chat template can render by having it render something."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WORD = "PROBE"
_SHOWN_RAW = (f"'text': '{_WORD}'", f'"text": "{_WORD}"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a template takes: these roles, and a message's content as a string, as a list of parts."""

    takes_system: bool
    takes_developer: bool
    takes_strings: bool
    takes_lists: bool


def probe(source: str, render: Callable[[list[dict[str, Any]]], str]) -> Abilities:
    """Try small conversations; a template that fails on one does not take it."""
    parts = [{"type": "text", "text": _WORD}]
    in_string = _try(render, [{"role": "user", "content": _WORD}])
    in_list = _try(render, [{"role": "user", "content": parts}])
    takes_lists = _WORD in in_list and not any(raw in in_list for raw in _SHOWN_RAW)
    takes_strings = _WORD in in_string or not takes_lists
    system = {"role": "system", "content": _WORD if takes_strings else parts}
    with_system = _try(render, [system, {"role": "user", "content": "x" if takes_strings else parts[:0]}])
    return Abilities(
        takes_system=_WORD in with_system,
        # Rendering would not tell: many templates print any role, whether the model knows it or not.
        takes_developer="developer" in source,
        takes_strings=takes_strings,
        takes_lists=takes_lists,
    )


def _try(render: Callable[[list[dict[str, Any]]], str], messages: list[dict[str, Any]]) -> str:
    try:
        return render(messages)
    except Exception:  # noqa: BLE001 - what a template does with odd messages has no common type
        return ""

"""No text that a client sends forges a log line, commands a terminal, or shows a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.logs import make_harmless

SECRET = "Q" * 39


def harmless(text: str, name: str = "path") -> str:
    shown = make_harmless(None, "info", {"event": "request", name: text})[name]
    assert isinstance(shown, str)
    return shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/generate", "/generate"),
        ("/Übersicht/模型", "/Übersicht/模型"),
        ("/a\nb\r\tc", r"/a\nb\r\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred\x7f", r"\x9b31mred\x7f"),
        ("\u202egnp.exe\u2066\u200f", r"\u202egnp.exe\u2066\u200f"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"tsv_abcdefgh_{SECRET}",
        f"/generate/tsv_abcdefgh_{SECRET}/x",
        f"Bearer tsv_abcdefgh_{SECRET}",
        f"tsv_abcdefgh{SECRET}",
        f"tsv_{SECRET}",
        f"tsv_abcdefgh__{SECRET}",
    ],
)
def test_of_a_token_only_its_id_is_shown(text: str) -> None:
    assert SECRET[:9] not in harmless(text)
    assert "***" in harmless(text)


@given(st.text())
def test_nothing_is_left_that_cannot_be_printed(text: str) -> None:
    assert harmless(text).isprintable()
    assert harmless(text).encode().decode() == harmless(text)


def test_the_lines_of_a_traceback_cannot_pass_for_log_lines() -> None:
    shown = harmless("Traceback:\n  File\nValueError: x\n2026-01-01 [info] forged\x1b[2J", "exception")
    assert shown.split("\n")[1:] == [
        "  |   File",
        "  | ValueError: x",
        r"  | 2026-01-01 [info] forged\x1b[2J",
    ]


def test_what_is_no_text_stays_as_it_is() -> None:
    event = {"event": "request", "status": 200, "duration_ms": 1.5, "model": None}
    assert make_harmless(None, "info", dict(event)) == event

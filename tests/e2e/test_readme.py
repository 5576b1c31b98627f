"""The README's own blocks run, against a live server; its tables are true."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from service.settings import AuthSettings, ImageSettings, LimitSettings, ModelSettings, Settings, TLSSettings
from tests.support.server import RunningServer

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_TESTED = re.compile(
    r"<!-- test: (\w+) -->\n```\w+\n(.*?)```\n\n(?:.*?\n\n)??<!-- output -->\n```\w+\n(.*?)```", re.DOTALL
)


def _blocks(language: str) -> list[tuple[str, str]]:
    return [(code, output) for name, code, output in _TESTED.findall(README) if name == language]


def _run(command: list[str], server: RunningServer) -> str:
    environment = {**os.environ, "URL": server.url, "TOKEN": server.token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_block_answers_as_shown(real_server: RunningServer) -> None:
    ((code, shown),) = _blocks("bash")
    answer, expected = json.loads(_run(["bash", "-c", code], real_server)), json.loads(shown)
    assert answer.keys() == expected.keys()
    # Other processors round differently: the words may differ, the details may not.
    assert answer["details"] == expected["details"]
    assert answer["generated_text"].startswith("Gravity is")


@pytest.mark.parametrize(("code", "shown"), _blocks("python"), ids=["hugging face", "openai"])
def test_the_python_blocks_print_an_answer(real_server: RunningServer, code: str, shown: str) -> None:
    printed = _run([sys.executable, "-c", code], real_server)
    assert len(printed) > 20
    # Other processors round differently: only the first words are sure.
    assert printed.split()[:2] == shown.split()[:2]


def test_the_vision_block_says_what_it_drew(vision_server: RunningServer) -> None:
    ((code, shown),) = _blocks("vision")
    printed = _run([sys.executable, "-c", code], vision_server)
    # Tokens are drawn by chance, though the likeliest come nearly always.
    assert len(set(printed.split()) & set(shown.split())) >= 6


def settings_table() -> str:
    """The settings as the README shows them."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    sections = {
        "": Settings,
        "auth.": AuthSettings,
        "limits.": LimitSettings,
        "images.": ImageSettings,
        "tls.": TLSSettings,
        "models[].": ModelSettings,
    }
    for prefix, section in sections.items():
        for name, field in section.model_fields.items():
            if f"{name}." in sections or name == "models":
                continue
            default = "required" if field.default is PydanticUndefined else _shown(field.default)
            rows.append(f"| `{prefix}{name}` | {default} | {field.description} |")
    return "\n".join(rows)


def _shown(default: object) -> str:
    if default is None:
        return ""
    value = (
        str(default)
        if isinstance(default, Path)
        else list(default)
        if isinstance(default, tuple)
        else default
    )
    return f"`{json.dumps(value)}`"


def test_the_settings_table_is_the_code() -> None:
    shown = README.split("<!-- settings -->\n")[1].split("\n<!-- /settings -->")[0]
    assert shown == settings_table()


@pytest.mark.parametrize("path", re.findall(r"\]\((?!https?:|data:)([^)#]+)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (Path(__file__).parents[2] / path).exists()

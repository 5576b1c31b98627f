"""The chat template tells how a model writes tool calls."""

from pathlib import Path

import pytest

from export.tool_format import tool_format

TEMPLATES = Path(__file__).resolve().parents[2] / "data" / "chat_templates"
XML = "{% if tools %}<tool_call>\n<function=name>\n<parameter=arguments>{% endif %}"


def write(folder: Path, template: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["hermes", "llama3", "mistral"])
def test_a_template_that_teaches_a_known_format_is_recognised(name: str, tmp_path: Path) -> None:
    template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    assert tool_format(write(tmp_path, template)) == name


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0].content }}",
        XML,
        "{% if tools %}{{ tools | tojson }} call: name(arguments){% endif %}",
        "<|python_tag|> {{ tools }} pythonic",
        '<tool_call>{"arguments": 1} and no word of what there is to call',
    ],
)
def test_a_template_without_tools_or_with_a_way_of_its_own_has_none(template: str, tmp_path: Path) -> None:
    assert tool_format(write(tmp_path, template)) is None


def test_a_model_without_template_has_none(tmp_path: Path) -> None:
    assert tool_format(tmp_path) is None


def test_the_template_for_tools_speaks_before_the_one_for_plain_chat(tmp_path: Path) -> None:
    write(tmp_path, "{{ messages[0].content }}")
    (tmp_path / "additional_chat_templates").mkdir()
    path = tmp_path / "additional_chat_templates" / "tool_use.jinja"
    path.write_text((TEMPLATES / "hermes.jinja").read_text(encoding="utf-8"), encoding="utf-8")
    assert tool_format(tmp_path) == "hermes"

"""Conversations become the very text that transformers makes of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from service.errors import ModelFolderError, ValidationError
from service.manifest import ToolFormat, read_manifest, write_manifest
from service.prompt.chat import MOST_MESSAGES, ChatTemplate
from tests.support.tiny import END, write_tiny_model

TEMPLATES = Path(__file__).resolve().parents[2] / "data" / "chat_templates"
FORMATS: tuple[ToolFormat, ...] = get_args(ToolFormat)
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TODAY = {"date_string": "26 Jul 2026"}
CHATML = (
    "{% for message in messages %}"
    "{{ '<' + message.role + '>' + message.content + '</' + message.role + '>' }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)

USER = {"role": "user", "content": "How warm is it in <Zürich>?"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather now",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {
    "id": "abcdefgh1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "Zürich"}},
}
WITH_CALL = [
    {"role": "system", "content": "Be brief. "},
    USER,
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefgh1", "content": '{"celsius": 21}'},
    {"role": "assistant", "content": "21 °C."},
    {"role": "user", "content": "And now?"},
]


def source(tool_format: ToolFormat) -> str:
    return (TEMPLATES / f"{tool_format}.jinja").read_text(encoding="utf-8")


def template(text: str, tool_format: ToolFormat | None = None) -> ChatTemplate:
    return ChatTemplate({"default": text}, special_tokens=SPECIAL_TOKENS, tool_format=tool_format)


@pytest.fixture(params=FORMATS)
def tool_format(request: pytest.FixtureRequest) -> ToolFormat:
    chosen: ToolFormat = request.param
    return chosen


@pytest.fixture(scope="module")
def transformers_render() -> Callable[..., str]:
    utilities = pytest.importorskip(
        "transformers.utils.chat_template_utils", reason="transformers is not installed: pip install '.[dev]'"
    )

    def render(text: str, messages: list[dict[str, Any]], **options: Any) -> str:
        rendered, _ = utilities.render_jinja_template(
            [messages], chat_template=text, **SPECIAL_TOKENS, **TODAY, **options
        )
        only: str = rendered[0]
        return only

    return render


@pytest.mark.parametrize("messages", [[USER], WITH_CALL], ids=["one question", "with a call"])
@pytest.mark.parametrize("tools", [None, [TOOL]], ids=["no tools", "tools"])
def test_prompts_are_those_of_transformers(
    tool_format: ToolFormat,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
    transformers_render: Callable[..., str],
) -> None:
    text = source(tool_format)
    ours = template(text, tool_format).render(messages, tools=tools, template_arguments=TODAY)
    assert ours == transformers_render(text, messages, tools=tools, add_generation_prompt=True)
    assert "<Zürich>" in ours


@pytest.mark.parametrize("start", ["It is", "It is  ", "", "<s>"])
def test_a_continued_message_ends_the_prompt_as_in_transformers(
    tool_format: ToolFormat, start: str, transformers_render: Callable[..., str]
) -> None:
    messages = [USER, {"role": "assistant", "content": start}]
    text = source(tool_format)
    ours = template(text, tool_format).render(messages, continue_final_message=True, template_arguments=TODAY)
    assert ours == transformers_render(text, messages, continue_final_message=True)
    assert ours.rstrip().endswith(start.rstrip())


def test_a_continued_message_of_parts_ends_with_its_last_text() -> None:
    parts = [{"type": "text", "text": "It is"}, {"type": "text", "text": " warm"}]
    chat = template(source("llama3"), "llama3")
    prompt = chat.render([USER, {"role": "assistant", "content": parts}], continue_final_message=True)
    assert prompt.endswith("<|end_header_id|>\n\nIt iswarm")  # this template trims each part


def test_a_final_message_that_the_template_leaves_out_can_not_be_continued() -> None:
    chat = template("{% for message in messages %}{{ message.role }}{% endfor %}")
    with pytest.raises(ValidationError, match="can't be continued") as refusal:
        chat.render([USER], continue_final_message=True)
    assert refusal.value.param == "messages"


def test_a_message_without_text_can_not_be_continued() -> None:
    chat = template(source("llama3"), "llama3")
    with pytest.raises(ValidationError, match="no text to continue"):
        chat.render([{"role": "user", "content": [{"type": "image"}]}], continue_final_message=True)


def test_the_generation_prompt_can_be_left_out() -> None:
    chat = template(CHATML)
    assert chat.render([{"role": "user", "content": "Hi"}]) == "<user>Hi</user><assistant>"
    assert chat.render([{"role": "user", "content": "Hi"}], add_generation_prompt=False) == "<user>Hi</user>"


def test_a_template_knows_the_date() -> None:
    text = "{{ strftime_now('%d %b %Y') }}"
    chat = ChatTemplate({"default": text}, tool_format=None, now=lambda: datetime(2026, 7, 26, tzinfo=UTC))
    assert chat.render([USER]) == "26 Jul 2026"


def test_template_arguments_reach_the_template_and_may_not_replace_the_messages() -> None:
    chat = template("{{ bos_token }}{{ enable_thinking }}")
    assert chat.render([USER], template_arguments={"enable_thinking": False, "self": 1}) == "<s>False"
    for taken in ("messages", "tools", "bos_token"):
        with pytest.raises(ValidationError, match=taken) as refusal:
            chat.render([USER], template_arguments={taken: "x"})
        assert refusal.value.param == "chat_template_kwargs"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refuses: roles must alternate"),
        ("{{ messages[0].content + 1 }}", "can't render these messages: TypeError"),
        ("{{ messages[0].nothing.at.all }}", "can't render these messages: UndefinedError"),
        ("{{ messages.__class__.__mro__ }}", "can't render these messages: SecurityError"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "RecursionError"),
    ],
)
def test_what_a_template_does_not_take_is_the_clients_to_mend(text: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refusal:
        template(text).render([USER])
    assert refusal.value.param == "messages"


@pytest.mark.parametrize("count", [0, MOST_MESSAGES + 1])
def test_no_message_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(ValidationError, match=f"got {count}"):
        template(CHATML).render([USER] * count)


def test_arguments_that_no_tokenizer_takes_are_refused() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": "\\ud800"}'}}
    with pytest.raises(ValidationError, match="UnicodeEncodeError"):
        template(CHATML).render([USER, {"role": "assistant", "tool_calls": [call]}])


def test_the_template_for_tools_serves_requests_with_tools() -> None:
    templates = {"default": "plain", "tool_use": "{{ tools | length }} tools <tool_call>"}
    chat = ChatTemplate(templates, tool_format="hermes")
    assert chat.render([USER]) == "plain"
    assert chat.render([USER], tools=[TOOL]) == "1 tools <tool_call>"


@pytest.mark.parametrize("given", ["hermes", "llama3", None])
def test_calls_are_hermes_where_the_template_knows_no_tools(given: ToolFormat | None) -> None:
    assert template(CHATML, given).tool_format == "hermes"
    assert template(source("llama3"), given).tool_format == (given or "hermes")


def test_a_template_that_trains_marks_its_answers() -> None:
    chat = template("{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x is defined }}")
    assert chat.render([USER]) == "1False"


def test_strict_is_not_shown_to_the_model() -> None:
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True, "description": None}}  # type: ignore[dict-item]
    shown = template(source("hermes"), "hermes").render([USER], tools=[strict])
    assert '"name": "get_weather"' in shown
    assert "strict" not in shown
    assert "null" not in shown


class TestLoading:
    """A converted model's folder holds all that a template needs."""

    def write(self, folder: Path, tool_format: ToolFormat | None, **files: str) -> Path:
        write_tiny_model(folder)
        manifest = read_manifest(folder).model_copy(update={"tool_format": tool_format})
        write_manifest(folder, manifest)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return folder

    def load(self, folder: Path) -> ChatTemplate:
        chat = ChatTemplate.load(folder)
        assert chat is not None
        return chat

    def test_a_model_without_template_has_none(self, tmp_path: Path) -> None:
        assert ChatTemplate.load(self.write(tmp_path, None)) is None

    def test_the_manifest_says_how_calls_are_written(self, tmp_path: Path) -> None:
        folder = self.write(tmp_path, "mistral", chat_template_dot_jinja=source("mistral"))
        assert self.load(folder).tool_format == "mistral"

    def test_the_file_comes_before_the_tokenizers_configuration(self, tmp_path: Path) -> None:
        config = json.dumps({"chat_template": "old", "bos_token": "<b>"})
        files = {"chat_template_dot_jinja": "new {{ bos_token }}", "tokenizer_config_dot_json": config}
        assert self.load(self.write(tmp_path, None, **files)).render([USER]) == "new <b>"

    def test_the_tokenizers_configuration_may_hold_several_templates(self, tmp_path: Path) -> None:
        named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
        config = json.dumps({"chat_template": named})
        chat = self.load(self.write(tmp_path, "hermes", tokenizer_config_dot_json=config))
        assert chat.render([USER]) == "plain"
        assert chat.render([USER], tools=[TOOL]) == "tools"

    def test_a_folder_of_templates_is_read(self, tmp_path: Path) -> None:
        files = {
            "chat_template_dot_jinja": "plain",
            "additional_chat_templates__tool_use_dot_jinja": "{{ tools[0].function.name }}",
        }
        chat = self.load(self.write(tmp_path, "hermes", **files))
        assert chat.render([USER], tools=[TOOL]) == "get_weather"

    def test_special_tokens_are_texts_or_objects(self, tmp_path: Path) -> None:
        config = json.dumps({"bos_token": {"content": "<b>", "lstrip": False}, "eos_token": None})
        tokens = json.dumps({"bos_token": "<old>", "eos_token": "<e>"})
        files = {
            "chat_template_dot_jinja": "{{ bos_token }}{{ eos_token }}",
            "tokenizer_config_dot_json": config,
            "special_tokens_map_dot_json": tokens,
        }
        assert self.load(self.write(tmp_path, None, **files)).render([USER]) == "<b><e>"

    def test_without_tokenizer_configuration_the_ids_name_the_tokens(self, tmp_path: Path) -> None:
        text = "{{ bos_token }} {{ eos_token }}"
        folder = self.write(tmp_path, None, chat_template_dot_jinja=text)
        end = read_manifest(folder).eos_token_ids[0]
        assert self.load(folder).render([USER]) == f" {END}"
        (folder / "config.json").write_text(json.dumps({"bos_token_id": end}))
        assert self.load(folder).render([USER]) == f"{END} {END}"

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({"chat_template_dot_jinja": "{% if %}"}, "does not parse"),
            ({"chat_template_dot_jinja": "", "tokenizer_config_dot_json": "{"}, "is not JSON"),
            ({"chat_template_dot_jinja": "", "tokenizer_config_dot_json": "[]"}, "is not a JSON object"),
            ({"additional_chat_templates__rag_dot_jinja": "x"}, "none for plain chat"),
        ],
    )
    def test_broken_files_are_one_clear_error(
        self, tmp_path: Path, files: dict[str, str], reason: str
    ) -> None:
        with pytest.raises(ModelFolderError, match=reason):
            ChatTemplate.load(self.write(tmp_path, None, **files))

    def test_the_default_model_chats(self, default_model: Path) -> None:
        prompt = self.load(default_model).render([{"role": "user", "content": "Hi"}])
        assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")

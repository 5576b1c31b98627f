"""What OpenAI's bodies come to: OpenAI's defaults, vLLM's extras, refusals by name."""

from typing import Any

import pydantic
import pytest

from service.api.openai.bodies import ChatBody, CompletionBody
from service.api.openai.chat_request import to_raw, tool_use_of
from service.api.openai.completions import to_raws
from service.domain import ChatPrompt, Grammar, RawRequest
from service.errors import ValidationError

USER = {"role": "user", "content": "hi"}
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "null"}}}},
}
FORCED = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}


def chat(**fields: Any) -> RawRequest:
    body = ChatBody.model_validate({"messages": [USER], **fields})
    return to_raw(body, tool_use=tool_use_of(body, "hermes"), default_new_tokens=77)


def prompt_of(raw: RawRequest) -> ChatPrompt:
    assert isinstance(raw.prompt, ChatPrompt)
    return raw.prompt


def completions(**fields: Any) -> list[RawRequest]:
    return to_raws(CompletionBody.model_validate({"prompt": "a", **fields}))


@pytest.mark.parametrize("read", [chat, lambda **fields: completions(**fields)[0]])
def test_what_is_given_arrives_and_the_rest_is_openais_default(read: Any) -> None:
    raw = read(
        temperature=0.5,
        top_p=0,
        top_k=5,
        seed=-1,
        stop="x",
        frequency_penalty=1,
        presence_penalty=-1,
        repetition_penalty=1.1,
        min_tokens=2,
        ignore_eos=True,
        max_tokens=9,
    )
    assert (raw.do_sample, raw.temperature, raw.top_p, raw.top_k) == (True, 0.5, 1e-6, 5)
    assert (raw.seed, raw.stop, raw.keep_stop, raw.max_new_tokens) == (2**63 - 1, ("x",), False, 9)
    assert (raw.frequency_penalty, raw.presence_penalty, raw.repetition_penalty) == (1, -1, 1.1)
    assert (raw.min_new_tokens, raw.ignore_eos) == (2, True)
    bare = read()
    assert (bare.do_sample, bare.temperature, bare.seed, bare.stop) == (True, None, None, ())
    assert read(temperature=0).do_sample is False
    assert read(top_k=-1).top_k is read(top_k=0).top_k is None
    assert read(stop=["a", "b"]).stop == ("a", "b")


def test_a_length_not_given_is_the_endpoints_own() -> None:
    assert (chat().max_new_tokens, chat().default_new_tokens) == (None, 77)
    assert completions()[0].default_new_tokens == 16
    assert chat(max_completion_tokens=5).max_new_tokens == chat(max_tokens=5).max_new_tokens == 5


def test_errors_will_name_the_clients_own_fields() -> None:
    assert chat(max_tokens=5).names.max_new_tokens == "max_tokens"
    assert chat().names.max_new_tokens == "max_completion_tokens"
    assert (chat().names.prompt, completions()[0].names.prompt) == ("messages", "prompt")
    assert chat(response_format=SCHEMA).names.grammar == "response_format"
    assert chat(tools=[TOOL], tool_choice="required").names.grammar == "tools"


def test_messages_arrive_as_they_were_sent() -> None:
    messages = [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "t"}]},
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "result"},
    ]
    assert prompt_of(chat(messages=messages)).messages == messages


def test_tools_are_shown_as_the_choice_has_it() -> None:
    assert prompt_of(chat(tools=[TOOL])).tools == [TOOL]
    assert prompt_of(chat(tools=[TOOL], tool_choice="none")).tools is None
    assert prompt_of(chat(tools=[], tool_choice="auto")).tools is None
    assert chat(tools=[TOOL]).grammar is None
    for choice in ("required", FORCED):
        raw = chat(tools=[TOOL], tool_choice=choice)
        assert prompt_of(raw).opening == "<tool_call>\n"
        assert raw.grammar is not None
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}  # type: ignore[dict-item]
    grammar = chat(tools=[strict]).grammar
    assert grammar is not None
    assert grammar.kind == "structural_tags"


def test_a_response_format_is_a_grammar() -> None:
    assert chat(response_format={"type": "text"}).grammar is None
    grammar = chat(response_format=SCHEMA).grammar
    assert grammar is not None
    assert (grammar.kind, grammar.value) == ("json_schema", '{"type":"array"}')
    assert chat(response_format={"type": "json_object"}).grammar is not None


@pytest.mark.parametrize(
    ("response_format", "kind", "value"),
    [
        ({"type": "json_object", "value": {"type": "array"}}, "json_schema", '{"type":"array"}'),
        ({"type": "json", "value": '{"type": "array"}'}, "json_schema", '{"type": "array"}'),
        ({"type": "json_schema", "value": {"name": "n", "schema": {"a": 1}}}, "json_schema", '{"a":1}'),
        ({"type": "regex", "value": "a+"}, "regex", "a+"),
    ],
    ids=str,
)
def test_tgis_forms_of_a_response_format_are_grammars_too(
    response_format: dict[str, Any], kind: str, value: str
) -> None:
    assert chat(response_format=response_format).grammar == Grammar(kind=kind, value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("description", ["x" * 300_000, {"a": "\ud800"}], ids=["large", "no JSON"])
def test_tools_that_would_stop_the_event_loop_are_refused(description: Any) -> None:
    function = {"name": "f", "parameters": {"type": "object", "description": description}}
    with pytest.raises(ValidationError) as refusal:
        chat(tools=[{"type": "function", "function": function}], tool_choice="required")
    assert refusal.value.param == "tools"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": {"continuous_usage_stats": True}}, "stream_options"),
        ({"top_logprobs": 0}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 2, "temperature": 0}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 1}, "top_logprobs"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"tools": [TOOL], "response_format": SCHEMA}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {**FORCED, "function": {"name": "g"}}}, "tool_choice"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
        (
            {"continue_final_message": True, "tools": [TOOL], "tool_choice": "required"},
            "continue_final_message",
        ),
    ],
    ids=str,
)
def test_what_a_chat_cannot_honour_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        chat(**fields)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 2, "temperature": 0}, "logprobs"),
        ({"logprobs": 1}, "logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"prompt": ["a"] * 5, "n": 13}, "n"),
    ],
    ids=str,
)
def test_what_completions_cannot_honour_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        completions(**fields)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
def test_every_form_of_a_prompt_arrives(prompt: Any, prompts: list[Any]) -> None:
    assert [raw.prompt for raw in completions(prompt=prompt)] == prompts


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "assistant"},
        {"role": "tool", "content": "x"},
        {"role": "robot", "content": "x"},
        {"role": "user", "content": "x", "tool_calls": []} | {"extra": 1},
        {"role": "user", "content": [{"type": "video", "video": "x"}]},
        {"role": "user", "content": "\ud800"},
    ],
    ids=str,
)
def test_a_message_needs_what_its_role_needs(message: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ChatBody.model_validate({"messages": [message]})


@pytest.mark.parametrize(
    "fields",
    [
        {"temprature": 1},
        {"functions": []},
        {"logit_bias": {"5": 1}},
        {"store": True},
        {"modalities": ["audio"]},
        {"n": 0},
        {"n": 17},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "text", "json_schema": {"name": "n", "schema": {}}}},
        {"response_format": {"type": "text", "value": "a"}},
        {"response_format": {"type": "json"}},
        {"response_format": {"type": "regex", "value": {"type": "string"}}},
        {"response_format": {"type": "json_object", "json_schema": {"name": "n", "schema": {}}}},
        {"tools": [{"type": "function", "function": {"name": "no spaces"}}]},
    ],
    ids=str,
)
def test_what_would_be_ignored_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ChatBody.model_validate({"messages": [USER], **fields})


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ChatBody, {"messages": [0] * 9}),
        (ChatBody, {"messages": [{"role": "user", "content": [0] * 9}]}),
        (ChatBody, {"messages": [{"role": "assistant", "content": "", "tool_calls": [0] * 9}]}),
        (ChatBody, {"messages": [USER], "tools": [0] * 9, "stop": [0] * 9, "modalities": [0] * 9}),
        (ChatBody, {"messages": [USER], **{f"unknown{index}": 1 for index in range(100_000)}}),
        (CompletionBody, {"prompt": [[""] * 9] * 9}),
    ],
    ids=["messages", "content", "tool_calls", "several", "fields", "prompt"],
)
def test_a_body_that_is_all_wrong_is_not_described_piece_by_piece(
    model: type[pydantic.BaseModel], body: dict[str, Any]
) -> None:
    with pytest.raises(pydantic.ValidationError) as refusal:
        model.model_validate(body)
    assert refusal.value.error_count() <= 6

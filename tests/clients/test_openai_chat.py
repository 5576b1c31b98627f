"""openai's chat completions."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall

from tests.clients.chat import MESSAGES, QUESTION, TIME, WEATHER, Place, WeatherQuery

pytestmark = pytest.mark.client("openai")


def ask(client: openai.OpenAI, **options: Any) -> ChatCompletion:
    given = {"model": "any", "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 24, **options}
    return client.chat.completions.create(**given)


def text_of(completion: ChatCompletion, index: int = 0) -> str:
    content = completion.choices[index].message.content
    assert content is not None
    return content


def only_call(completion: ChatCompletion) -> ChatCompletionMessageFunctionToolCall:
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.id
    return call


@pytest.mark.call("chat.completions.create")
def test_a_chat_is_answered_with_usage(openai_client: openai.OpenAI) -> None:
    completion = ask(openai_client)
    assert completion.id.startswith("chatcmpl-")
    assert completion.object == "chat.completion"
    (choice,) = completion.choices
    assert (choice.index, choice.message.role) == (0, "assistant")
    assert "Paris" in text_of(completion)
    assert "<|im_" not in text_of(completion)
    assert choice.finish_reason in ("stop", "length")
    assert choice.message.tool_calls is None
    usage = completion.usage
    assert usage is not None
    assert usage.prompt_tokens > 5
    assert 0 < usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert completion._request_id


@pytest.mark.call("chat.completions.create")
def test_any_model_name_will_do_when_one_model_is_served(openai_client: openai.OpenAI) -> None:
    assert "Paris" in text_of(ask(openai_client, model="gpt-4o"))


@pytest.mark.call("chat.completions.create(stream=True)")
def test_a_chat_streams_pieces_that_join_to_the_answer(openai_client: openai.OpenAI) -> None:
    chunks = list(ask(openai_client, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    choices = [chunk.choices[0] for chunk in chunks]
    assert choices[0].delta.role == "assistant"
    assert [choice.finish_reason for choice in choices[:-1]] == [None] * (len(choices) - 1)
    whole = ask(openai_client)
    assert choices[-1].finish_reason == whole.choices[0].finish_reason
    assert "".join(choice.delta.content or "" for choice in choices) == text_of(whole)
    assert sum(bool(choice.delta.content) for choice in choices) > 3


@pytest.mark.call("chat.completions.create(stream=True, stream_options=include_usage)")
def test_a_stream_ends_with_its_usage_when_asked(openai_client: openai.OpenAI) -> None:
    *chunks, last = ask(openai_client, stream=True, stream_options={"include_usage": True})
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage == ask(openai_client).usage


@pytest.mark.call("chat.completions.stream")
def test_the_stream_helper_puts_the_answer_together(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="any", messages=MESSAGES, temperature=0, max_completion_tokens=24
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content == text_of(ask(openai_client))


@pytest.mark.call("chat.completions.create, roles and content parts")
def test_a_developers_word_counts_as_the_systems(openai_client: openai.OpenAI) -> None:
    answers = [
        text_of(ask(openai_client, messages=[{"role": role, "content": "Answer in one word."}, *MESSAGES]))
        for role in ("system", "developer")
    ]
    assert answers[0] == answers[1]


@pytest.mark.call("chat.completions.create, roles and content parts")
def test_content_may_come_in_parts_and_speakers_have_names(openai_client: openai.OpenAI) -> None:
    message = {"role": "user", "name": "ada", "content": [{"type": "text", "text": QUESTION}]}
    assert text_of(ask(openai_client, messages=[message])) == text_of(ask(openai_client))


@pytest.mark.parametrize("option", ["max_tokens", "max_completion_tokens"])
@pytest.mark.call("chat.completions.create(max_completion_tokens)")
def test_an_answer_is_cut_at_its_limit(openai_client: openai.OpenAI, option: str) -> None:
    limit = {"max_completion_tokens": openai.omit, option: 3}
    completion = ask(openai_client, **limit)
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


@pytest.mark.parametrize("stop", ["Paris", ["Nowhere", "Paris"]])
@pytest.mark.call("chat.completions.create(stop)")
def test_a_stop_string_ends_the_answer_and_is_left_out(openai_client: openai.OpenAI, stop: Any) -> None:
    completion = ask(openai_client, stop=stop)
    assert completion.choices[0].finish_reason == "stop"
    before, found, _ = text_of(ask(openai_client)).partition("Paris")
    assert found
    assert text_of(completion) == before
    chunks = list(ask(openai_client, stop=stop, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == before


@pytest.mark.call("chat.completions.create(seed)")
def test_a_seed_repeats_an_answer(openai_client: openai.OpenAI) -> None:
    # The first may share steps with the rest of an earlier request, which rounds differently.
    seeds = (7, 7, 7, 8)
    _, first, again, other = (
        text_of(ask(openai_client, max_completion_tokens=8, temperature=1.2, seed=seed)) for seed in seeds
    )
    assert first == again
    assert first != other


@pytest.mark.call("chat.completions.create(n=2)")
def test_two_answers_are_two_choices(openai_client: openai.OpenAI) -> None:
    completion = ask(openai_client, n=2, temperature=1.2, seed=7)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert text_of(completion, 0) != text_of(completion, 1)
    assert completion.usage is not None
    assert 2 < completion.usage.completion_tokens <= 48


@pytest.mark.call("chat.completions.create(n=2)")
def test_two_answers_stream_side_by_side(openai_client: openai.OpenAI) -> None:
    texts = {0: "", 1: ""}
    ends: dict[int, str] = {}
    for chunk in ask(openai_client, n=2, temperature=1.2, seed=7, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                assert choice.index not in ends
                ends[choice.index] = choice.finish_reason
    assert texts[0] != texts[1]
    assert all(texts.values())
    assert ends.keys() == {0, 1}


@pytest.mark.call("chat.completions.create(logprobs=True)")
def test_logprobs_tell_each_token(openai_client: openai.OpenAI) -> None:
    completion = ask(openai_client, logprobs=True)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert all(token.logprob <= 0 for token in logprobs.content)
    assert "".join(token.token for token in logprobs.content).startswith(text_of(completion))
    assert ask(openai_client).choices[0].logprobs is None


@pytest.mark.call("chat.completions.create(logprobs=True)")
def test_logprobs_stream_beside_their_text(openai_client: openai.OpenAI) -> None:
    seen: list[float] = []
    for chunk in ask(openai_client, logprobs=True, stream=True):
        logprobs = chunk.choices[0].logprobs
        seen += [token.logprob for token in (logprobs.content or [] if logprobs else [])]
    whole = ask(openai_client, logprobs=True).choices[0].logprobs
    assert whole is not None
    assert whole.content is not None
    assert seen == pytest.approx([token.logprob for token in whole.content], abs=0.05)


@pytest.mark.call("chat.completions.create(response_format=json_schema)")
def test_an_answer_follows_a_json_schema(openai_client: openai.OpenAI) -> None:
    schema = {"name": "place", "strict": True, "schema": Place.model_json_schema()}
    completion = ask(openai_client, response_format={"type": "json_schema", "json_schema": schema})
    assert completion.choices[0].finish_reason == "stop"
    Place.model_validate_json(text_of(completion))


@pytest.mark.call("chat.completions.parse")
def test_parse_gives_the_model_that_was_asked_for(openai_client: openai.OpenAI) -> None:
    completion = openai_client.chat.completions.parse(
        model="any", messages=MESSAGES, response_format=WeatherQuery, temperature=0, max_completion_tokens=60
    )
    assert isinstance(completion.choices[0].message.parsed, WeatherQuery)


@pytest.mark.call("chat.completions.create(response_format=json_object)")
def test_an_answer_is_a_json_object_when_asked(openai_client: openai.OpenAI) -> None:
    messages = [{"role": "user", "content": 'Answer in JSON only, like {"capital": "Rome"}. ' + QUESTION}]
    completion = ask(
        openai_client, messages=messages, response_format={"type": "json_object"}, max_completion_tokens=200
    )
    assert text_of(completion).lstrip().startswith("{")
    if completion.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text_of(completion)), dict)


@pytest.mark.call("chat.completions.create(tools, tool_choice=auto)")
def test_with_free_choice_comes_a_text_or_a_call(openai_client: openai.OpenAI) -> None:
    completion = ask(openai_client, tools=[WEATHER, TIME], tool_choice="auto", max_completion_tokens=60)
    (choice,) = completion.choices
    if choice.finish_reason == "tool_calls":
        function = only_call(completion).function
        assert function.name in ("get_weather", "get_time")
        assert isinstance(json.loads(function.arguments), dict)
    else:
        assert choice.message.content
        assert not choice.message.tool_calls


@pytest.mark.call("chat.completions.create(stream=True, tools, tool_choice=auto)")
def test_with_free_choice_the_stream_says_the_same(openai_client: openai.OpenAI) -> None:
    options = {"tools": [WEATHER, TIME], "tool_choice": "auto", "max_completion_tokens": 60}
    deltas = [chunk.choices[0].delta for chunk in ask(openai_client, stream=True, **options)]
    whole = ask(openai_client, **options).choices[0].message
    assert "".join(delta.content or "" for delta in deltas) == (whole.content or "")
    names = [call.function.name for delta in deltas for call in delta.tool_calls or [] if call.function.name]
    assert names == [call.function.name for call in whole.tool_calls or []]


@pytest.mark.call("chat.completions.create(tools, tool_choice=required)")
def test_a_required_call_is_one_of_the_tools_with_valid_arguments(openai_client: openai.OpenAI) -> None:
    completion = ask(openai_client, tools=[WEATHER, TIME], tool_choice="required", max_completion_tokens=80)
    function = only_call(completion).function
    arguments = {"get_weather": WeatherQuery, "get_time": Place}[function.name]
    arguments.model_validate_json(function.arguments)


@pytest.mark.call("chat.completions.create(tools, tool_choice=named)")
def test_a_named_tool_is_called_with_valid_arguments(openai_client: openai.OpenAI) -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    completion = ask(openai_client, tools=[WEATHER, TIME], tool_choice=named, max_completion_tokens=80)
    function = only_call(completion).function
    assert function.name == "get_weather"
    WeatherQuery.model_validate_json(function.arguments)


@pytest.mark.call("chat.completions.stream(tools, tool_choice=required)")
def test_a_call_streams_in_pieces_that_the_helper_joins(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model="any",
        messages=MESSAGES,
        tools=[WEATHER],
        tool_choice="required",
        temperature=0,
        max_completion_tokens=80,
    ) as stream:
        final: Any = stream.get_final_completion()
    function = only_call(final).function
    assert function.name == "get_weather"
    WeatherQuery.model_validate_json(function.arguments)


@pytest.mark.call("chat.completions.create(tools, tool_choice=none)")
def test_no_tool_is_called_when_none_may_be(openai_client: openai.OpenAI) -> None:
    choice = ask(openai_client, tools=[WEATHER], tool_choice="none").choices[0]
    assert choice.message.content
    assert not choice.message.tool_calls


@pytest.mark.call("chat.completions.create, with a tool's result")
def test_a_tools_result_may_be_sent_back(openai_client: openai.OpenAI) -> None:
    call = only_call(ask(openai_client, tools=[WEATHER], tool_choice="required", max_completion_tokens=80))
    said = {"role": "assistant", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "It is sunny."}
    completion = ask(openai_client, messages=[*MESSAGES, said, result], tools=[WEATHER], tool_choice="none")
    assert text_of(completion)

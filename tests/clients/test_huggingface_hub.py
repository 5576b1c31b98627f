"""huggingface_hub's InferenceClient."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient, TextGenerationInputGrammarType
from huggingface_hub.errors import HfHubHTTPError, ValidationError

from tests.clients.chat import MESSAGES, WEATHER, Place, WeatherQuery
from tests.support.server import RunningServer

pytestmark = pytest.mark.client("huggingface_hub")

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def client(real_server: RunningServer) -> Iterator[InferenceClient]:
    with InferenceClient(model=real_server.url, token=real_server.token, timeout=30) as client:
        yield client


@pytest.fixture
def hosted_client(real_server: RunningServer) -> Iterator[InferenceClient]:
    """As for Hugging Face's own endpoints: of others it won't ask for information or health."""
    with InferenceClient(model=real_server.url, token=real_server.token, provider="hf-inference") as client:
        yield client


@pytest.fixture
async def async_client(real_server: RunningServer) -> AsyncIterator[AsyncInferenceClient]:
    async with AsyncInferenceClient(model=real_server.url, token=real_server.token, timeout=30) as client:
        yield client


@pytest.mark.call("text_generation")
def test_gets_a_text(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=20)
    assert isinstance(answer, str)
    assert "Paris" in answer


@pytest.mark.call("text_generation(details=True)")
def test_gets_details(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=8, details=True, seed=11, temperature=0.5)
    assert answer.details is not None
    assert answer.details.seed == 11
    assert answer.details.finish_reason in ("length", "eos_token")
    assert answer.details.generated_tokens == len(answer.details.tokens) <= 8
    spoken = [token for token in answer.details.tokens if not token.special]
    assert "".join(token.text for token in spoken) == answer.generated_text
    assert all(token.logprob <= 0 for token in answer.details.tokens)


@pytest.mark.call("text_generation(stream=True)")
def test_streams_pieces_that_join_to_the_text(client: InferenceClient) -> None:
    """Of an answer that does not end by itself: a stream has the end token's text as well."""
    pieces = list(client.text_generation(QUESTION, max_new_tokens=6, stream=True))
    assert "".join(pieces) == client.text_generation(QUESTION, max_new_tokens=6)


@pytest.mark.call("text_generation(stream=True, details=True)")
def test_streams_details(client: InferenceClient) -> None:
    events = list(client.text_generation(QUESTION, max_new_tokens=8, stream=True, details=True))
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert all(event.generated_text is None and event.details is None for event in events[:-1])
    assert all(event.token.logprob is not None for event in events)
    last = events[-1]
    assert last.details is not None
    assert last.details.generated_tokens == len(events)
    assert last.generated_text == "".join(event.token.text for event in events if not event.token.special)


@pytest.mark.call("text_generation, every parameter")
def test_may_name_every_parameter_with_its_own_defaults(client: InferenceClient) -> None:
    answer = client.text_generation(
        QUESTION,
        max_new_tokens=5,
        do_sample=True,
        best_of=1,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        return_full_text=True,
        seed=3,
        stop=["\n\n\n"],
        temperature=0.8,
        top_k=40,
        top_p=0.9,
        truncate=1000,
        typical_p=0.95,
        watermark=False,
        decoder_input_details=False,
    )
    assert answer.startswith(QUESTION)


@pytest.mark.call("text_generation, invalid: ValidationError")
@pytest.mark.parametrize("is_stream", [False, True])
def test_knows_a_refusal_for_what_it_is(client: InferenceClient, is_stream: bool) -> None:
    with pytest.raises(ValidationError, match="max_new_tokens"):
        list(client.text_generation(QUESTION, max_new_tokens=10**6, stream=is_stream))


@pytest.mark.call("text_generation(grammar)")
def test_gets_json_that_follows_a_grammar(client: InferenceClient) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
    grammar = TextGenerationInputGrammarType(type="json", value=schema)
    answer = client.text_generation(QUESTION, max_new_tokens=40, grammar=grammar)
    assert json.loads(answer)["city"] in ("Paris", "Rome")


@pytest.mark.call("text_generation(stop)")
def test_the_stop_string_stays_in_the_text(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=20, stop=["Paris"], details=True)
    assert answer.generated_text.endswith("Paris")
    assert answer.details is not None
    assert answer.details.finish_reason == "stop_sequence"


@pytest.mark.call("text_generation(best_of=2)")
def test_the_best_of_two_comes_with_the_other(client: InferenceClient) -> None:
    answer = client.text_generation(
        QUESTION, max_new_tokens=8, best_of=2, do_sample=True, temperature=1.3, details=True
    )
    assert answer.details is not None
    assert answer.details.best_of_sequences is not None
    (other,) = answer.details.best_of_sequences
    best, second = (
        sum(token.logprob for token in tokens) / len(tokens)
        for tokens in (answer.details.tokens, other.tokens)
    )
    assert best >= second


@pytest.mark.call("text_generation(decoder_input_details=True)")
def test_the_prompts_own_tokens_come_back(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=2, details=True, decoder_input_details=True)
    assert answer.details is not None
    prefill = answer.details.prefill
    assert "".join(token.text for token in prefill) == QUESTION
    assert all(token.logprob <= 0 for token in prefill[1:])


@pytest.mark.call("chat_completion")
def test_a_chat_is_answered(client: InferenceClient) -> None:
    answer = client.chat_completion(MESSAGES, max_tokens=20, temperature=0)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert "Paris" in choice.message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.call("chat_completion(stream=True)")
def test_a_chat_streams_pieces_that_join_to_the_answer(client: InferenceClient) -> None:
    chunks = list(client.chat_completion(MESSAGES, max_tokens=20, temperature=0, stream=True))
    whole = client.chat_completion(MESSAGES, max_tokens=20, temperature=0)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


@pytest.mark.call("chat.completions.create")
def test_the_openai_way_of_calling_works_too(client: InferenceClient) -> None:
    answer = client.chat.completions.create(messages=MESSAGES, max_tokens=20, temperature=0)
    assert "Paris" in answer.choices[0].message.content


@pytest.mark.call("chat_completion(logprobs, seed, stop)")
def test_a_chat_takes_the_other_options(client: InferenceClient) -> None:
    options: dict[str, Any] = {
        "max_tokens": 12,
        "temperature": 1.2,
        "seed": 5,
        "logprobs": True,
        "stop": ["zzz"],
    }
    # The first may share steps with the rest of an earlier request, which rounds differently.
    _, first, again = (client.chat_completion(MESSAGES, **options).choices[0] for _ in range(3))
    assert first.message.content == again.message.content
    assert first.logprobs is not None
    assert first.logprobs.content


@pytest.mark.parametrize(
    "choice", ["required", {"function": {"name": "get_weather"}}], ids=["required", "named"]
)
@pytest.mark.call("chat_completion(tools, tool_choice)")
def test_a_tool_is_called_with_valid_arguments(client: InferenceClient, choice: Any) -> None:
    answer = client.chat_completion(
        MESSAGES, tools=[WEATHER], tool_choice=choice, max_tokens=80, temperature=0
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    arguments = call.function.arguments
    WeatherQuery.model_validate(json.loads(arguments) if isinstance(arguments, str) else arguments)


@pytest.mark.call("chat_completion(response_format)")
def test_a_chat_follows_a_json_schema(client: InferenceClient) -> None:
    schema = {"name": "place", "schema": Place.model_json_schema()}
    answer = client.chat_completion(
        MESSAGES, response_format={"type": "json_schema", "json_schema": schema}, max_tokens=60, temperature=0
    )
    Place.model_validate_json(answer.choices[0].message.content)


@pytest.mark.call("chat_completion, invalid: HfHubHTTPError 400")
def test_an_invalid_chat_is_refused_by_name(client: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="temperature") as caught:
        client.chat_completion(MESSAGES, temperature=-1)
    assert caught.value.response.status_code == 400


@pytest.mark.call("get_endpoint_info, with provider=hf-inference")
def test_the_endpoint_tells_what_it_is(hosted_client: InferenceClient) -> None:
    info = hosted_client.get_endpoint_info()
    assert "smollm2" in info["model_id"]
    assert info["model_pipeline_tag"] == "text-generation"
    assert info["max_total_tokens"] > info["max_input_tokens"] > 0
    assert info["max_concurrent_requests"] > 0
    assert info["version"]


@pytest.mark.call("health_check, with provider=hf-inference")
def test_a_health_check_is_true(hosted_client: InferenceClient) -> None:
    assert hosted_client.health_check() is True


@pytest.mark.call("AsyncInferenceClient, text_generation and chat_completion")
async def test_the_asynchronous_client_generates_and_chats(async_client: AsyncInferenceClient) -> None:
    stream = await async_client.text_generation(QUESTION, max_new_tokens=6, stream=True)
    pieces = [piece async for piece in stream]
    assert "".join(pieces) == await async_client.text_generation(QUESTION, max_new_tokens=6)
    answer = await async_client.chat_completion(MESSAGES, max_tokens=20, temperature=0)
    assert "Paris" in answer.choices[0].message.content

"""openai's text completions, and its list of models."""

from typing import Any

import openai
import pytest
from openai.types import Completion

from tests.support.server import RunningServer

pytestmark = pytest.mark.client("openai")

PROMPT = "The capital of France is"


def complete(client: openai.OpenAI, **options: Any) -> Completion:
    return client.completions.create(**{"model": "any", "temperature": 0, "max_tokens": 8, **options})


def token_ids(server: RunningServer, text: str) -> list[int]:
    with server.client() as client:
        return [token["id"] for token in client.post("/tokenize", json={"inputs": text}).json()]


@pytest.mark.call("completions.create(prompt=str)")
def test_a_prompt_is_continued(openai_client: openai.OpenAI) -> None:
    completion = complete(openai_client, prompt=PROMPT)
    assert completion.id.startswith("cmpl-")
    assert completion.object == "text_completion"
    (choice,) = completion.choices
    assert "Paris" in choice.text
    assert choice.finish_reason in ("stop", "length")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 8


@pytest.mark.call("completions.create(prompt=list)")
def test_each_prompt_of_a_list_has_its_choice(openai_client: openai.OpenAI) -> None:
    prompts = [PROMPT, "One, two, three,"]
    completion = complete(openai_client, prompt=prompts)
    alone = [complete(openai_client, prompt=prompt) for prompt in prompts]
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert "Paris" in completion.choices[0].text
    assert "four" in completion.choices[1].text
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone if one.usage)


@pytest.mark.call("completions.create(prompt=token ids)")
def test_a_prompt_may_be_token_ids(openai_client: openai.OpenAI, real_server: RunningServer) -> None:
    ids = token_ids(real_server, PROMPT)
    assert (
        complete(openai_client, prompt=ids).choices[0].text
        == complete(openai_client, prompt=PROMPT).choices[0].text
    )
    assert len(complete(openai_client, prompt=[ids, ids]).choices) == 2


@pytest.mark.call("completions.create(stream=True)")
def test_a_completion_streams_pieces_that_join_to_the_text(openai_client: openai.OpenAI) -> None:
    options = {"prompt": PROMPT, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = complete(openai_client, **options)
    whole = complete(openai_client, prompt=PROMPT)
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert (last.choices, last.usage) == ([], whole.usage)


@pytest.mark.call("completions.create(stop, n, seed, logprobs)")
def test_a_stop_string_is_left_out(openai_client: openai.OpenAI) -> None:
    choice = complete(openai_client, prompt=PROMPT, stop="Paris").choices[0]
    assert choice.finish_reason == "stop"
    assert "Paris" not in choice.text


@pytest.mark.call("completions.create(stop, n, seed, logprobs)")
def test_a_drawn_text_repeats_with_its_seed_and_two_of_them_differ(openai_client: openai.OpenAI) -> None:
    options = {"prompt": PROMPT, "seed": 3, "temperature": 1.5}
    # The first may share steps with the rest of an earlier request, which rounds differently.
    _, first, again = (complete(openai_client, **options).choices[0].text for _ in range(3))
    assert first == again
    one, other = (choice.text for choice in complete(openai_client, n=2, **options).choices)
    assert one != other


@pytest.mark.call("completions.create(stop, n, seed, logprobs)")
def test_logprobs_tell_each_token(openai_client: openai.OpenAI) -> None:
    choice = complete(openai_client, prompt=PROMPT, logprobs=0).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.tokens is not None
    assert choice.logprobs.token_logprobs is not None
    assert "".join(choice.logprobs.tokens) == choice.text
    assert all(logprob <= 0 for logprob in choice.logprobs.token_logprobs)


@pytest.mark.call("models.list")
def test_the_served_model_is_listed(openai_client: openai.OpenAI) -> None:
    (model,) = openai_client.models.list()
    assert model.object == "model"
    assert "smollm2" in model.id
    assert model.created > 0
    assert model.owned_by


@pytest.mark.call("models.retrieve")
def test_the_served_model_is_found_by_its_name(openai_client: openai.OpenAI) -> None:
    (model,) = openai_client.models.list()
    assert openai_client.models.retrieve(model.id) == model
    completion = complete(openai_client, model=model.id, prompt=PROMPT)
    assert completion.model == model.id


@pytest.mark.call("models.retrieve, of another: NotFoundError")
def test_another_model_is_not_found(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="gpt-4o"):
        openai_client.models.retrieve("gpt-4o")

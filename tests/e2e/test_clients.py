"""Clients as their users have them, unpatched, against the real model."""

import json
from collections.abc import Iterator

import pytest
import requests
from huggingface_hub import InferenceClient, TextGenerationInputGrammarType
from huggingface_hub.errors import ValidationError

from tests.support.server import RunningServer

QUESTION = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def client(real_server: RunningServer) -> Iterator[InferenceClient]:
    with InferenceClient(model=real_server.url, token=real_server.token, timeout=30) as client:
        yield client


def test_the_seeds_text_example_answers_in_english_with_details(real_server: RunningServer) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {real_server.token}"}
    payload = {
        "inputs": "<|im_start|>system\nYou are a helpful assistant.\n<|im_end|>\n<|im_start|>user\nWhat are three key benefits of renewable energy?\n<|im_end|>\n<|im_start|>assistant",  # noqa: E501 - verbatim
        "parameters": {"max_new_tokens": 150, "temperature": 0.7},
    }
    response = requests.post(f"{real_server.url}/generate", headers=headers, json=payload)
    assert response.status_code == 200
    answer = response.json()
    assert answer.keys() == {"generated_text", "details"}
    details = answer["details"]
    assert details["finish_reason"] in ("length", "eos_token")
    assert 0 < details["generated_tokens"] <= 150
    assert isinstance(details["seed"], int)
    assert answer["generated_text"].strip()
    # The example draws a seed each time, so any words may come: the likeliest ones are judged.
    payload["parameters"] = {"max_new_tokens": 150}
    greedy = requests.post(f"{real_server.url}/generate", headers=headers, json=payload).json()
    _assert_english(greedy["generated_text"])


def _assert_english(text: str) -> None:
    assert "\ufffd" not in text
    assert "<|im_" not in text
    assert "energy" in text.lower()
    words = [word.strip(".,:;!?*()\"'").lower() for word in text.split()]
    assert len(words) > 15
    # The commonest words of English make up about a third of any text in it.
    common = {
        "the",
        "of",
        "and",
        "a",
        "to",
        "in",
        "is",
        "it",
        "for",
        "as",
        "are",
        "that",
        "can",
        "be",
        "with",
    }
    assert sum(word in common for word in words) > len(words) / 20
    # Neither one word over and over, nor none twice.
    assert len(set(words)) > len(words) / 4


def test_hubs_client_gets_a_text(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=20)
    assert isinstance(answer, str)
    assert "Paris" in answer


def test_hubs_client_gets_details(client: InferenceClient) -> None:
    answer = client.text_generation(QUESTION, max_new_tokens=8, details=True, seed=11, temperature=0.5)
    assert answer.details is not None
    assert answer.details.seed == 11
    assert answer.details.finish_reason in ("length", "eos_token")
    assert answer.details.generated_tokens == len(answer.details.tokens) <= 8
    spoken = [token for token in answer.details.tokens if not token.special]
    assert "".join(token.text for token in spoken) == answer.generated_text
    assert all(token.logprob <= 0 for token in answer.details.tokens)


def test_hubs_client_streams_pieces_that_join_to_the_text(client: InferenceClient) -> None:
    pieces = list(client.text_generation(QUESTION, max_new_tokens=8, stream=True))
    assert "".join(pieces) == client.text_generation(QUESTION, max_new_tokens=8)


def test_hubs_client_streams_details(client: InferenceClient) -> None:
    events = list(client.text_generation(QUESTION, max_new_tokens=8, stream=True, details=True))
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert all(event.generated_text is None and event.details is None for event in events[:-1])
    assert all(event.token.logprob is not None for event in events)
    last = events[-1]
    assert last.details is not None
    assert last.details.generated_tokens == len(events)
    assert last.generated_text == "".join(event.token.text for event in events if not event.token.special)


def test_hubs_client_may_name_every_parameter_with_its_own_defaults(client: InferenceClient) -> None:
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


@pytest.mark.parametrize("is_stream", [False, True])
def test_hubs_client_knows_a_refusal_for_what_it_is(client: InferenceClient, is_stream: bool) -> None:
    with pytest.raises(ValidationError, match="max_new_tokens"):
        list(client.text_generation(QUESTION, max_new_tokens=10**6, stream=is_stream))


def test_hubs_client_gets_json_that_follows_a_grammar(client: InferenceClient) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
    grammar = TextGenerationInputGrammarType(type="json", value=schema)
    answer = client.text_generation(QUESTION, max_new_tokens=40, grammar=grammar)
    assert json.loads(answer)["city"] in ("Paris", "Rome")

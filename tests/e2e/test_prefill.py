"""The prompt's tokens and their log-probabilities, on the real model."""

import secrets
from typing import Any

from tests.support.server import RunningServer


def prefill_of(server: RunningServer, inputs: str, **parameters: Any) -> list[dict[str, Any]]:
    parameters = {"max_new_tokens": 2, "details": True, "decoder_input_details": True, **parameters}
    with server.client() as client:
        response = client.post("/generate", json={"inputs": inputs, "parameters": parameters})
    assert response.status_code == 200, response.text
    prefill: list[dict[str, Any]] = response.json()["details"]["prefill"]
    return prefill


def test_every_token_of_the_prompt_is_told_and_only_the_first_has_no_logprob(
    real_server: RunningServer,
) -> None:
    inputs = f"The capital of France is {secrets.token_hex(4)} Paris"
    prefill = prefill_of(real_server, inputs)
    assert "".join(token["text"] for token in prefill) == inputs
    assert prefill[0]["logprob"] is None
    assert all(token["logprob"] < 0 for token in prefill[1:])


def test_a_likely_token_has_a_higher_logprob_than_an_unlikely_one(real_server: RunningServer) -> None:
    # A beginning of its own, so that the prefix cache knows nothing of it.
    beginning = f"{secrets.token_hex(4)}. The capital of France is"
    likely = prefill_of(real_server, f"{beginning} Paris")[-1]
    unlikely = prefill_of(real_server, f"{beginning} cheese")[-1]
    assert likely["text"] == " Paris"
    assert likely["logprob"] > unlikely["logprob"]


def test_what_the_prefix_cache_had_is_told_without_logprob(real_server: RunningServer) -> None:
    inputs = secrets.token_hex(4) + " one two three four five" * 30
    first, second = prefill_of(real_server, inputs), prefill_of(real_server, inputs)
    assert [token["id"] for token in first] == [token["id"] for token in second]
    known = [token["logprob"] for token in second if token["logprob"] is not None]
    assert 0 < len(known) < len(first) - 1
    whole = [token["logprob"] for token in first]
    assert all(abs(one - other) < 0.1 for one, other in zip(known, whole[-len(known) :], strict=True))


def test_without_details_nobody_is_told(real_server: RunningServer) -> None:
    with real_server.client() as client:
        body = {"inputs": "abc", "parameters": {"max_new_tokens": 1, "decoder_input_details": True}}
        assert "prefill" not in client.post("/generate", json=body).json()["details"]

"""Plain HTTP, as the service's first users have it."""

import pytest
import requests

from tests.support.server import RunningServer

pytestmark = pytest.mark.client("requests")


@pytest.mark.call("POST /generate")
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

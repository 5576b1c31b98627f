"""What a streamed completion must bring to count."""

import json
from typing import Any

import pytest

from benchmarks.client import Reply
from benchmarks.peers.openai_api import Answer, completion_body, read_answer, split_url

USAGE = json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}).encode()


def reply(times_s: list[float], content: bytes = USAGE, **changes: Any) -> Reply:
    fields: dict[str, Any] = {"status": 200, "sent_s": 1.0, "ended_s": 9.0}
    return Reply(**{**fields, "event_times_s": times_s, "content": content, **changes})


def test_usage_and_end_are_not_taken_for_tokens() -> None:
    answer = read_answer(reply([2.0, 3.0, 4.0, 5.0, 5.0]), tokens=3)

    assert answer == Answer(sent_s=1.0, token_times_s=[2.0, 3.0, 4.0], tokens=3, prompt_tokens=7)


def test_an_event_of_the_reason_is_not_taken_for_a_token() -> None:
    answer = read_answer(reply([2.0, 3.0, 4.0, 4.5, 5.0, 5.0]), tokens=3)

    assert isinstance(answer, Answer)
    assert answer.token_times_s == [2.0, 3.0, 4.0]


def test_tokens_that_come_together_are_counted_by_usage() -> None:
    answer = read_answer(reply([2.0, 3.0, 5.0, 5.0]), tokens=3)

    assert isinstance(answer, Answer)
    assert (answer.tokens, answer.token_times_s) == (3, [2.0, 3.0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (reply([2.0], failure="lost"), "lost"),
        (reply([], b'{"error": 1}', status=429), 'status 429: {"error": 1}'),
        (reply([2.0, 3.0, 4.0], b'{"choices": []}'), "without usage"),
        (reply([2.0, 3.0, 4.0], USAGE.replace(b"3}", b"2}")), "2 tokens instead of 3"),
        (reply([2.0, 3.0, 3.0]), "all tokens came in one event"),
    ],
)
def test_a_stream_that_is_wrong_is_told(wrong: Reply, said: str) -> None:
    fault = read_answer(wrong, tokens=3)

    assert isinstance(fault, str)
    assert said in fault


def test_a_request_is_greedy_exact_and_counted() -> None:
    body = json.loads(completion_body("m", "a b", tokens=64))

    assert (body["temperature"], body["ignore_eos"], body["max_tokens"]) == (0, True, 64)
    assert body["stream_options"] == {"include_usage": True}


def test_an_address_may_name_where_the_api_is() -> None:
    assert split_url("http://h:1") == ("http://h:1", "/v1")
    assert split_url("http://h:1/v3/") == ("http://h:1", "/v3")

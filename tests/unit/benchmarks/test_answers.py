"""What counts as a whole stream, an error event, an answer."""

import json
from typing import Any

import pytest

from benchmarks.answers import is_answer, is_error_event, stream_fault
from benchmarks.client import Reply

ERROR = b'{"error":{"message":"gone","type":"unavailable","code":503},"error_type":"generation"}'


def last_event(**changes: Any) -> bytes:
    details = {"finish_reason": "length", "generated_tokens": 3, "seed": None, "input_length": 5}
    event = {"index": 3, "token": {}, "generated_text": "a b c", "details": details}
    details |= {key: value for key, value in changes.items() if key in details}
    event |= {key: value for key, value in changes.items() if key in event}
    return json.dumps(event).encode()


def reply(content: bytes, *, status: int = 200, events: int = 3, failure: str | None = None) -> Reply:
    return Reply(
        status=status,
        sent_s=0.0,
        ended_s=1.0,
        event_times_s=[0.5] * events,
        content=content,
        failure=failure,
    )


def test_a_stream_with_exactly_its_tokens_is_good() -> None:
    assert stream_fault(reply(last_event()), tokens=3, prompt_tokens=5) is None


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (reply(last_event(), events=2), "events: 2 instead of 3"),
        (reply(last_event(index=2)), "the last event's index: 2 instead of 3"),
        (reply(last_event(generated_tokens=4)), "generated_tokens: 4 instead of 3"),
        (reply(last_event(input_length=6)), "input_length: 6 instead of 5"),
        (reply(last_event(generated_text=None)), "the last event has no generated_text"),
        (
            reply(last_event(details=None)),
            "generated_tokens: None instead of 3; input_length: None instead of 5",
        ),
        (reply(ERROR), f"ended with {ERROR.decode()}"),
        (reply(b""), "ended with nothing"),
        (reply(b"busy", status=429), "status 429: busy"),
        (reply(last_event(), failure="the connection was lost"), "the connection was lost"),
    ],
)
def test_any_other_stream_is_told_by_its_fault(bad: Reply, fault: str) -> None:
    assert stream_fault(bad, tokens=3, prompt_tokens=5) == fault


def test_an_error_event_has_message_and_code() -> None:
    assert is_error_event(ERROR)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"error":"gone"}', b'{"error":{}}', last_event()])
def test_nothing_else_is_an_error_event(content: bytes) -> None:
    assert not is_error_event(content)


def test_an_answer_has_a_text() -> None:
    assert is_answer(reply(b'{"generated_text":"a"}'))


@pytest.mark.parametrize(
    "bad",
    [
        reply(ERROR, status=503),
        reply(b"{}"),
        reply(b'{"generated_text":"a"}', failure="lost"),
        reply(b'[{"generated_text":"a"}]'),
    ],
)
def test_nothing_else_is_an_answer(bad: Reply) -> None:
    assert not is_answer(bad)

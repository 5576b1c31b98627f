"""Domain events become TGI's frames, bodies and headers."""

import json
from typing import Any

from service.api.mapping import finish_headers, start_headers, to_answer_body, to_frames
from service.api.wire import GenerateBody
from service.domain import Answer, Finish, Start, Timings, Token

TOKENS = [
    Token(id=1, text="a", logprob=None, special=False),
    Token(id=2, text="", logprob=-0.5, special=False),
    Token(id=3, text="<end>", logprob=None, special=True),
]
FINISH = Finish(
    reason="eos_token",
    generated_text="a",
    prompt_tokens=7,
    generated_tokens=3,
    seed=None,
    timings=Timings(queue_s=0.001, inference_s=0.3, total_s=0.3014, ttft_s=0.1),
)


def read(frames: list[bytes]) -> list[dict[str, Any]]:
    for frame in frames:
        assert frame.startswith(b"data: {")
        assert frame.endswith(b"}\n\n")
        assert frame.count(b"\n") == 2
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]


def test_each_token_is_an_event_and_the_last_one_carries_the_answer() -> None:
    events = read(to_frames([*TOKENS, FINISH], 4, ""))
    assert [event["index"] for event in events] == [4, 5, 6]
    assert [event["generated_text"] for event in events] == [None, None, "a"]
    assert [event["details"] for event in events[:-1]] == [None, None]
    assert events[-1]["details"] == {
        "finish_reason": "eos_token",
        "generated_tokens": 3,
        "seed": None,
        "input_length": 7,
    }
    assert events[1]["token"] == {"id": 2, "text": "", "logprob": -0.5, "special": False}


def test_a_batch_in_the_middle_of_a_stream_has_no_answer() -> None:
    start = Start(prompt_tokens=7, seed=None, queue_s=0)
    assert [event["generated_text"] for event in read(to_frames([start, *TOKENS[:2]], 1, ""))] == [None] * 2


def test_a_line_end_in_a_token_does_not_break_its_frame() -> None:
    token = Token(id=1, text="a\r\n\n\u2028b", logprob=None, special=False)
    assert read(to_frames([token], 1, ""))[0]["token"]["text"] == "a\r\n\n\u2028b"


def body(**parameters: Any) -> GenerateBody:
    return GenerateBody.model_validate({"inputs": "prompt ", "parameters": parameters})


def test_the_full_text_is_the_prompt_before_the_answer() -> None:
    assert read(to_frames([*TOKENS, FINISH], 1, "prompt "))[-1]["generated_text"] == "prompt a"
    answer = Answer(tokens=TOKENS, finish=FINISH)
    assert to_answer_body(answer, body(return_full_text=True))["generated_text"] == "prompt a"
    assert to_answer_body(answer, body())["generated_text"] == "a"


def test_details_are_always_there_and_tokens_when_asked_for() -> None:
    answer = Answer(tokens=TOKENS, finish=FINISH)
    always = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None}
    assert to_answer_body(answer, body())["details"] == to_answer_body(answer, body(details=False))["details"]
    assert to_answer_body(answer, body())["details"] == always
    asked = to_answer_body(answer, body(details=True))["details"]
    assert asked.keys() == always.keys() | {"prefill", "tokens"}
    assert asked["prefill"] == []
    assert len(asked["tokens"]) == 3


def test_times_are_whole_milliseconds() -> None:
    assert finish_headers(FINISH, "CPU") == {
        "x-compute-type": "cpu",
        "x-prompt-tokens": "7",
        "x-generated-tokens": "3",
        "x-queue-time": "1",
        "x-inference-time": "300",
        "x-time-per-token": "100",
        "x-total-time": "301",
    }


def test_a_stream_tells_what_is_known_at_its_start() -> None:
    headers = start_headers(Start(prompt_tokens=7, seed=3, queue_s=0.0124), "GPU")
    assert headers == {"x-compute-type": "gpu", "x-prompt-tokens": "7", "x-queue-time": "12"}

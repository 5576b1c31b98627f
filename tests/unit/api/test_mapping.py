"""Domain events become TGI's frames, bodies and headers."""

import json
from dataclasses import replace
from typing import Any

import msgspec

from service.api.rendering import GenerateStream, finish_headers, start_headers, to_answer
from service.api.wire import GenerateBody
from service.domain import Answer, Finish, GenerationEvent, PromptToken, Start, Timings, Token

TOKENS = [
    Token(id=1, text="a", piece="a", logprob=None, special=False),
    Token(id=2, text="", piece="", logprob=-0.5, special=False),
    Token(id=3, text="<end>", piece="<end>", logprob=None, special=True),
]
FINISH = Finish(
    reason="eos_token",
    generated_text="a",
    prompt_tokens=7,
    generated_tokens=3,
    seed=None,
    timings=Timings(queue_s=0.001, inference_s=0.3, total_s=0.3014, ttft_s=0.1),
)


def body(**parameters: Any) -> GenerateBody:
    return GenerateBody.model_validate({"inputs": "prompt ", "parameters": parameters})


def read(frames: bytes) -> list[dict[str, Any]]:
    *events, rest = frames.split(b"\n\n")
    assert rest == b""
    for event in events:
        assert event.startswith(b"data: {")
        assert event.endswith(b"}")
        assert b"\n" not in event
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


def streamed(*batch: GenerationEvent, **parameters: Any) -> list[dict[str, Any]]:
    stream = GenerateStream(body(**parameters))
    return read(stream.add(0, batch) + stream.end())


def test_each_token_is_an_event_and_the_last_one_carries_the_answer() -> None:
    stream = GenerateStream(body())
    events = read(stream.add(0, TOKENS[:1]) + stream.add(0, [*TOKENS[1:], FINISH]))
    assert [event["index"] for event in events] == [1, 2, 3]
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
    assert [event["generated_text"] for event in streamed(start, *TOKENS[:2])] == [None] * 2


def test_a_line_end_in_a_token_does_not_break_its_frame() -> None:
    token = Token(id=1, text="a\r\n\n\u2028b", piece="a\r\n\n\u2028b", logprob=None, special=False)
    assert streamed(token)[0]["token"]["text"] == "a\r\n\n\u2028b"


def rendered(*answers: Answer, **parameters: Any) -> Any:
    return msgspec.to_builtins(to_answer(answers, body(**parameters)))


def test_the_full_text_is_the_prompt_before_the_answer() -> None:
    assert streamed(*TOKENS, FINISH, return_full_text=True)[-1]["generated_text"] == "prompt a"
    answer = Answer(tokens=TOKENS, finish=FINISH)
    assert rendered(answer, return_full_text=True)["generated_text"] == "prompt a"
    assert rendered(answer)["generated_text"] == "a"


def test_details_are_always_there_and_tokens_when_asked_for() -> None:
    answer = Answer(tokens=TOKENS, finish=FINISH)
    always = {"finish_reason": "eos_token", "generated_tokens": 3, "seed": None}
    assert rendered(answer)["details"] == rendered(answer, details=False)["details"]
    assert rendered(answer)["details"] == always
    asked = rendered(answer, details=True)["details"]
    assert asked.keys() == always.keys() | {"prefill", "tokens"}
    assert asked["prefill"] == []
    assert len(asked["tokens"]) == 3


def test_times_are_whole_milliseconds() -> None:
    assert finish_headers([Answer(tokens=TOKENS, finish=FINISH)], "CPU") == {
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


def scored(text: str, *logprobs: float) -> Answer:
    tokens = [Token(id=1, text="a", piece="a", logprob=logprob, special=False) for logprob in logprobs]
    finish = replace(FINISH, generated_text=text, generated_tokens=len(tokens))
    return Answer(tokens=tokens, finish=finish, prefill=(PromptToken(id=5, text="p", logprob=None),))


def test_the_best_answer_has_the_highest_mean_logprob_and_the_others_stand_by() -> None:
    answers = [scored("low", -1.0, -1.0), scored("best", -0.5, -0.5, -0.5), scored("lowest", -3.0)]
    rendered_answer = rendered(*answers, details=True)
    assert rendered_answer["generated_text"] == "best"
    others = rendered_answer["details"]["best_of_sequences"]
    assert [other["generated_text"] for other in others] == ["low", "lowest"]
    assert [len(other["tokens"]) for other in others] == [2, 1]
    assert rendered_answer["details"]["prefill"] == [{"id": 5, "text": "p", "logprob": None}]
    assert "best_of_sequences" not in rendered(*answers)["details"]


def test_headers_of_several_answers_count_all_of_their_tokens() -> None:
    headers = finish_headers([scored("a", -1.0), scored("b", -1.0, -2.0)], "CPU")
    assert headers["x-generated-tokens"] == "3"
    assert headers["x-prompt-tokens"] == "7"


def test_the_top_token_is_the_chosen_one() -> None:
    details = rendered(scored("a", -0.5), details=True, top_n_tokens=1)["details"]
    assert details["top_tokens"] == [details["tokens"]]
    events = streamed(TOKENS[1], top_n_tokens=1)
    assert events[0]["top_tokens"] == [events[0]["token"]]

"""How streams of each API are read, and what counts as a failure."""

import json
from typing import Any

import pytest

from benchmarks.client import Reply, TransportFailure
from benchmarks.traffic.dialects import Dialect, MalformedStreamError, OpenAi, Tgi
from benchmarks.traffic.samples import judge
from benchmarks.traffic.workloads import Ask
from service.errors import ConfigError

ASK = Ask(text="hello", output_tokens=3)
PICTURE = Ask(text="what", output_tokens=3, picture="QUJD")
DETAILS = {"generated_tokens": 3, "input_length": 9, "finish_reason": "length"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3}


def frames(*events: object) -> list[bytes]:
    return [b"data: " + (one if isinstance(one, bytes) else json.dumps(one).encode()) for one in events]


def token(text: str, **end: object) -> dict[str, Any]:
    return {"index": 1, "token": {"id": 1, "text": text}, "generated_text": None, "details": None} | end


TGI = frames(token("a"), token("b"), token("c", generated_text="abc", details=DETAILS))
COMPLETION = frames(
    {"choices": [{"text": "ab"}]},
    {"choices": [{"text": "c", "finish_reason": "length"}]},
    {"choices": [], "usage": USAGE},
    b"[DONE]",
)
CHAT = frames(
    {"choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": None},
    {"choices": [{"delta": {"content": "ab"}}]},
    {"choices": [{"delta": {}, "finish_reason": "length"}]},
    {"choices": [], "usage": USAGE},
    b"[DONE]",
)


def completions(*, is_chat: bool = False, ignore_eos: bool = True) -> OpenAi:
    return OpenAi(model="m", is_chat=is_chat, ignore_eos=ignore_eos)


def reply(events: list[bytes], status: int | None = 200, **others: Any) -> Reply:
    times_s = [1.0 + number for number in range(len(events))]
    told = {"content": b"", "headers": {"x-queue-time": "20"}} | others
    return Reply(status=status, sent_s=0.5, ended_s=9.0, event_times_s=times_s, events=events, **told)


@pytest.mark.parametrize(
    ("dialect", "events", "chunk_times_s"),
    [
        (Tgi(), TGI, [1, 2, 3]),
        (completions(), COMPLETION, [1, 2]),
        (completions(is_chat=True), CHAT, [2]),
        (Tgi(), [b": keep-alive", *TGI], [2, 3, 4]),
    ],
)
def test_a_good_stream_has_its_chunks_and_the_servers_numbers(
    dialect: Dialect, events: list[bytes], chunk_times_s: list[float]
) -> None:
    sample = judge(reply(events), ASK, dialect, due_s=0.25)
    assert sample.failure is None
    assert (sample.prompt_tokens, sample.output_tokens) == (9, 3)
    assert sample.chunk_times_s == chunk_times_s
    assert (sample.due_s, sample.sent_s, sample.queue_s) == (0.25, 0.5, 0.02)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (reply([], 500, content=b"oh"), "status 500"),
        (reply(TGI[:2], failure="lost", failure_kind=TransportFailure.LOST), "connection lost"),
        (reply([], None, failure="slow", failure_kind=TransportFailure.TIMEOUT), "timeout"),
        (reply(frames(b"{")), "malformed stream"),
        (reply(frames([1])), "malformed stream"),
        (reply(TGI[:2]), "malformed stream"),
        (reply(frames(token("c", generated_text="abc"))), "malformed stream"),
        (reply([*TGI[:1], *frames({"error": {"message": "broken"}})]), "error event"),
        (
            reply(frames(token("c", generated_text="c", details=DETAILS | {"generated_tokens": 1}))),
            "short answer",
        ),
    ],
)
def test_each_failure_has_its_kind(seen: Reply, kind: str) -> None:
    failure = judge(seen, ASK, Tgi(), due_s=0).failure
    assert failure
    assert failure.kind == kind
    assert failure.reason


def test_a_stream_without_openais_end_is_malformed() -> None:
    failure = judge(reply(COMPLETION[:-1]), ASK, completions(), due_s=0).failure
    assert failure
    assert failure.kind == "malformed stream"


def test_an_answer_may_end_early_where_the_end_was_not_forbidden() -> None:
    events = frames(
        {"choices": [{"text": "a"}]}, {"choices": [], "usage": USAGE | {"completion_tokens": 1}}, b"[DONE]"
    )
    assert judge(reply(events), ASK, completions(ignore_eos=False), due_s=0).failure is None


def test_bodies_ask_for_exact_lengths_and_for_the_numbers_of_tokens() -> None:
    tgi = json.loads(Tgi(extra={"top_k": 1}).body(ASK))
    assert tgi == {
        "inputs": "hello",
        "parameters": {"max_new_tokens": 3, "do_sample": False, "ignore_eos": True, "top_k": 1},
    }
    chat = json.loads(completions(is_chat=True, ignore_eos=False).body(ASK))
    assert chat["messages"] == [{"role": "user", "content": "hello"}]
    assert chat["stream_options"] == {"include_usage": True}
    assert "ignore_eos" not in chat


def test_pictures_go_where_each_api_wants_them() -> None:
    assert json.loads(Tgi().body(PICTURE))["inputs"] == "<image>QUJD</image>\nwhat"
    (message,) = json.loads(completions(is_chat=True).body(PICTURE))["messages"]
    assert message["content"][0]["image_url"] == {"url": "data:image/jpeg;base64,QUJD"}
    with pytest.raises(ConfigError, match="openai-chat"):
        completions().body(PICTURE)


def test_what_is_no_object_is_no_event() -> None:
    with pytest.raises(MalformedStreamError, match="no object"):
        Tgi().read(frames("text"))

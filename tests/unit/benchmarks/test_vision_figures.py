"""How the benchmarks of pictures judge what they saw."""

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from benchmarks import vision
from benchmarks.client import Reply
from benchmarks.image_fuzz import fault_of
from benchmarks.pictures import picture_bodies
from benchmarks.stats import Ratio
from benchmarks.vision import ALONE, PICTURES, TEXTS, Side, summarise
from benchmarks.vision_accuracy import answer_of, question_body
from export.demo_vlm.evaluate import held_out


def reply(status: int | None = 200, content: object = None, events: int = 0, **others: Any) -> Reply:
    body = json.dumps(content).encode()
    return Reply(
        status=status,
        sent_s=0.0,
        ended_s=1.0,
        event_times_s=[float(one) for one in range(events)],
        content=body,
        **others,
    )


def test_a_file_is_well_answered_by_a_text_or_by_a_whole_refusal() -> None:
    refusal = {"error": {"message": "no", "type": "validation", "code": 400}, "error_type": "validation"}
    assert fault_of(reply(content={"generated_text": ""})) is None
    assert fault_of(reply(400, refusal)) is None
    assert "status 500" in str(fault_of(reply(500, refusal)))
    assert "status 400" in str(fault_of(reply(400, {"detail": "no"})))
    assert fault_of(reply(None, failure="lost")) == "lost"


def test_a_stream_must_bring_all_its_tokens() -> None:
    assert vision.fault_of(reply(events=3), 3) is None
    assert vision.fault_of(reply(events=2), 3) == "2 events instead of 3"
    assert "status 503" in str(vision.fault_of(reply(503), 3))


def test_sides_are_compared_with_the_streams_alone_round_by_round() -> None:
    results = summarise(
        {
            ALONE: Side(gaps_s=[[1.0], [2.0]]),
            TEXTS: Side(gaps_s=[[1.0], [4.0]]),
            PICTURES: Side(gaps_s=[[3.0], [4.0]], first_tokens_s=[0.5], faults=["lost"]),
        }
    )
    assert results.sides[ALONE].p99_ratio is None
    assert results.sides[TEXTS].p99_ratio == Ratio(median=1.5, lowest=1.0, highest=2.0)
    assert results.sides[PICTURES].p50_ratio == Ratio(median=2.5, lowest=2.0, highest=3.0)
    assert results.faults == ["beside pictures: lost"]


def test_pictures_are_of_their_size_and_none_comes_twice() -> None:
    bodies = picture_bodies(seed="a", count=3, side=64, tokens=5)
    assert bodies == picture_bodies(seed="a", count=3, side=64, tokens=5)
    assert len(set(bodies)) == 3
    inputs = json.loads(bodies[0])["inputs"]
    data = base64.b64decode(inputs.split("<image>")[1].split("</image>")[0])
    assert data.startswith(b"\xff\xd8\xff")


def test_a_question_is_asked_in_the_model_s_markup_with_its_own_picture() -> None:
    (example,) = held_out(1)
    inputs = json.loads(question_body(example, "PNG"))["inputs"]
    before, _, rest = inputs.partition("<image>")
    encoded, _, after = rest.partition("</image>")
    assert before.endswith("<|im_start|>user\n")
    assert after == f"\n{example.question}<|im_end|>\n<|im_start|>assistant\n"
    data = base64.b64decode(encoded)
    assert _pixels(data) == example.picture.tobytes()


def _pixels(data: bytes) -> bytes:
    with Image.open(BytesIO(data)) as picture:
        return picture.convert("RGB").tobytes()


@pytest.mark.parametrize("content", [{"generated_text": " Red\n"}, {"generated_text": "Red"}])
def test_blanks_around_an_answer_do_not_count(content: dict[str, str]) -> None:
    assert answer_of(reply(content=content)) == "Red"
    assert answer_of(reply(500, {"error": {}})) == ""

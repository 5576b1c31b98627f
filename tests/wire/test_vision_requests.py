"""Pictures over HTTP, with the fake engine: what is taken, what is refused, and which model gets it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.manifest import ImageLimits
from tests.support.bad_images import as_inputs, bad_images, encoded, good_images, mutated, plain
from tests.support.server import RunningServer, running_server
from tests.support.tiny import fake_model, write_tiny_model

LIMITS = ImageLimits(max_images=2, max_width=1024, max_height=1024, tokens_per_image=16, marks=["<|pad|>"])
PNG = encoded(plain(), "PNG")
PNG_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A text model first, then one that takes pictures."""
    vision = tmp_path_factory.mktemp("vision-model")
    write_tiny_model(vision, image_limits=LIMITS, name="seeing")
    config = fake_model(tiny_model) + fake_model(vision) + "\n[images]\nmax_images = 3\n"
    with running_server(tmp_path_factory.mktemp("vision"), config) as running:
        yield running


def _generate(
    server: RunningServer, inputs: str, model: str | None = None, **parameters: object
) -> httpx.Response:
    body = {"inputs": inputs, "parameters": {"max_new_tokens": 4} | parameters}
    with server.client() as client:
        return client.post("/generate", json=body | ({"model": model} if model else {}))


def _chat(server: RunningServer, *parts: dict[str, Any], model: str = "") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": list(parts)}], "max_tokens": 4}
    with server.client() as client:
        return client.post("/v1/chat/completions", json=body)


def _image(url: str = PNG_URI) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _refusal(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "validation"
    return str(error["message"])


@pytest.mark.parametrize("name", good_images())
def test_every_kind_of_picture_is_taken(server: RunningServer, name: str) -> None:
    answer = _generate(server, as_inputs(good_images()[name][0], "what?"))
    assert answer.status_code == 200
    # The fake engine repeats the prompt's text: the line break, then the question.
    assert answer.json()["generated_text"] == "\nwha"


def test_all_forms_are_taken_and_their_tokens_count(server: RunningServer) -> None:
    data = base64.b64encode(PNG).decode()
    for inputs in (f"<image>{data}</image>abc", f"<image>{PNG_URI}</image>abc", f"![]({PNG_URI})abc"):
        answer = _generate(server, inputs, details=True)
        assert answer.status_code == 200
        assert answer.headers["x-prompt-tokens"] == str(16 + 3)


def test_an_unnamed_request_goes_to_the_model_that_can_take_it(server: RunningServer) -> None:
    with server.client() as client:
        for content, model in ((_text("hi"), "tiny"), (_image(), "seeing")):
            body = {"model": "", "messages": [{"role": "user", "content": [content, _text("abc")]}]}
            answer = client.post("/v1/chat/completions", json=body | {"max_tokens": 2})
            assert answer.json()["model"] == model


def test_a_text_model_that_was_named_refuses_pictures(server: RunningServer) -> None:
    assert "the model tiny takes no images" in _refusal(_generate(server, as_inputs(PNG), "tiny"))
    assert "the model tiny takes no images" in _refusal(_chat(server, _image(), model="tiny"))


def test_a_text_model_still_reads_feeds_and_links(server: RunningServer) -> None:
    for inputs in ("<image><url>x</url></image>", "![](https://a.example/x.png)", "<image>"):
        assert _generate(server, inputs).status_code == 200


def test_a_vision_model_answers_text_and_token_ids(server: RunningServer) -> None:
    assert _generate(server, "abcd", "seeing").json()["generated_text"] == "abcd"
    with server.client() as client:
        body = {"model": "seeing", "prompt": [65, 66], "max_tokens": 2}
        assert client.post("/v1/completions", json=body).status_code == 200


@pytest.mark.parametrize("name", bad_images())
def test_a_bad_picture_gets_400(server: RunningServer, name: str) -> None:
    message = _refusal(_generate(server, as_inputs(bad_images()[name])))
    assert message.startswith(("the image ", "`inputs` has an empty image"))


@pytest.mark.parametrize(
    "inputs",
    [
        "<image>QUJD",
        "QUJD</image> x",
        "<ov_genai_image_0> what?",
        "see <|pad|>",
        "<image><image>QUJD</image>",
    ],
)
def test_text_that_looks_like_an_image_s_place_gets_400(server: RunningServer, inputs: str) -> None:
    assert "image" in _refusal(_generate(server, inputs, "seeing"))
    assert "image" in _refusal(_chat(server, _text(inputs), model="seeing"))


def test_the_errors_name_the_image_among_several(server: RunningServer) -> None:
    inputs = as_inputs(PNG, "") + as_inputs(b"no picture", "")
    assert _refusal(_generate(server, inputs)).startswith("image 2 of 2 is no JPEG, PNG or WebP")


def test_more_images_than_the_model_takes_get_400(server: RunningServer) -> None:
    assert "has 3 images, and this model takes at most 2" in _refusal(_generate(server, as_inputs(PNG) * 3))
    assert "has 3 images, and this model takes at most 2" in _refusal(_chat(server, *[_image()] * 3))


def test_urls_are_not_fetched_unless_allowed(server: RunningServer) -> None:
    for answer in (
        _generate(server, "<image>http://127.0.0.1:1/x.png</image>", "seeing"),
        _chat(server, _image("https://a.example/x.png"), model="seeing"),
    ):
        assert "fetches none" in _refusal(answer)


def test_what_images_exclude_gets_400(server: RunningServer) -> None:
    details = _generate(server, as_inputs(PNG), details=True, decoder_input_details=True)
    assert "`decoder_input_details` can't be had from a vision model" in _refusal(details)
    assert "`truncate`" in _refusal(_generate(server, as_inputs(PNG), truncate=5))
    assert _generate(server, "abcdef", "seeing", truncate=3).json()["generated_text"] == "defd"


def test_images_count_in_the_length_of_a_prompt(server: RunningServer) -> None:
    message = _refusal(_generate(server, as_inputs(PNG, "x" * 490), max_new_tokens=30))
    assert "got 507 + 30" in message


def test_a_picture_alone_is_a_prompt(server: RunningServer) -> None:
    assert _generate(server, as_inputs(PNG, "").strip()).status_code == 200


def test_info_tells_what_pictures_are_taken(server: RunningServer) -> None:
    with server.client() as client:
        assert client.get("/seeing/info").json()["images"] == {
            "max_images": 2,
            "max_width": 1024,
            "max_height": 1024,
        }
        assert client.get("/tiny/info").json()["images"] is None


def test_mutated_pictures_are_answered_or_refused(server: RunningServer) -> None:
    pid = server.engine_pid()
    with server.client() as client:
        statuses = [
            client.post(
                "/generate", json={"inputs": as_inputs(data), "parameters": {"max_new_tokens": 1}}
            ).status_code
            for data in mutated(11, 300)
        ]
    assert set(statuses) <= {200, 400}
    assert statuses.count(400) > 30
    assert server.engine_pid() == pid

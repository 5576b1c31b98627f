"""The demo vision model, served beside the default model: what it answers, and through whom."""

import ast
import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from openai import OpenAI

from benchmarks.client import Target
from benchmarks.vision_accuracy import AccuracySettings, measure_accuracy
from export.demo_vlm.evaluate import held_out
from export.demo_vlm.questions import describe
from export.demo_vlm.scenes import draw
from service.manifest import read_manifest
from tests.support.pictures import VISION_MODEL, asked, data_uri, jpeg, one_shape, tag
from tests.support.server import RunningServer

BACKGROUND = "What is the background color?"
WHITE = one_shape("circle", "red", background="white")
BLACK = one_shape("square", "blue", background="black", quarter=3)
TEXT = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
# As the interface's first users have it, in the document that they got.
FIRST_EXAMPLE = """
import base64
from PIL import Image
import requests
from io import BytesIO

# Load and prepare image
image = Image.open("example.jpg")
# Resize if needed (max 1024x1024)
buffer = BytesIO()
image.save(buffer, format="JPEG")
base64_image = base64.b64encode(buffer.getvalue()).decode('utf-8')

# Prepare request
payload = {
    "inputs": f"<|im_start|>system\\nAnalyze the image.\\n<|im_end|>\\n<|im_start|>user\\n<image>{base64_image}</image>\\nDescribe what you see in detail.\\n<|im_end|>\\n<|im_start|>assistant",
    "parameters": {
        "max_new_tokens": 200,
        "temperature": 0.3
    }
}
response = requests.post("http://localhost:8000/generate", headers=headers, json=payload)
print(response.json())
"""  # noqa: E501 - verbatim


@pytest.fixture(scope="module")
def client(vision_server: RunningServer) -> Iterator[httpx.Client]:
    with vision_server.client(timeout_s=60) as client:
        yield client


def generate(client: httpx.Client, inputs: str, model: str | None = None, **parameters: Any) -> str:
    body = {"inputs": inputs, "parameters": {"max_new_tokens": 48, **parameters}}
    answer = client.post("/generate", json=body | ({"model": model} if model else {}))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["generated_text"]).strip()


def refusal(client: httpx.Client, inputs: str, model: str | None = None, **parameters: Any) -> str:
    body = {"inputs": inputs, "parameters": {"max_new_tokens": 4, **parameters}}
    return refused(client.post("/generate", json=body | ({"model": model} if model else {})))


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("validation", 400)
    return str(error["message"])


def parts(question: str, *uris: str) -> list[Any]:
    images = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    return [{"role": "user", "content": [*images, {"type": "text", "text": question}]}]


async def test_fresh_questions_are_answered_word_for_word(vision_server: RunningServer) -> None:
    settings = AccuracySettings(questions=150, concurrency=16, picture_format="JPEG", timeout_s=60)
    target = Target.from_url(vision_server.url, vision_server.token)
    results = await measure_accuracy(target, held_out(150), settings, advance=lambda: None)
    assert results.faults == []
    # All 500 are measured by `python -m benchmarks vision-accuracy`; fewer leave more to chance.
    assert results.share >= 0.93, results.wrong


def test_the_first_users_example_runs_as_it_is(vision_server: RunningServer, tmp_path: Path) -> None:
    scene = one_shape("triangle", "green")
    (tmp_path / "example.jpg").write_bytes(jpeg(scene, 640))
    code = FIRST_EXAMPLE.replace("http://localhost:8000", vision_server.url)
    assert code.count(vision_server.url) == 1
    headers = {"Content-Type": "application/json", **vision_server.headers}
    done = subprocess.run(
        [sys.executable, "-c", f"headers = {headers!r}\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = ast.literal_eval(done.stdout)
    assert answer.keys() == {"generated_text", "details"}
    assert answer["details"]["finish_reason"] in ("length", "eos_token")
    assert "<|im_" not in answer["generated_text"]
    # The example draws a seed each time, so another word may come; not three others.
    assert sum(word in answer["generated_text"] for word in ("green", "triangle", "white")) >= 2


def test_the_first_users_prompt_is_answered_right_when_nothing_is_left_to_chance(
    client: httpx.Client,
) -> None:
    scene = one_shape("triangle", "green")
    inputs = (
        f"<|im_start|>system\nAnalyze the image.\n<|im_end|>\n<|im_start|>user\n{tag(jpeg(scene, 640))}\n"
        "Describe what you see in detail.\n<|im_end|>\n<|im_start|>assistant"
    )
    assert generate(client, inputs) == describe(scene)


def test_one_question_about_two_pictures_by_turns_is_answered_for_each(client: httpx.Client) -> None:
    answers = [
        generate(client, asked(jpeg(scene), BACKGROUND)) for scene in (WHITE, BLACK, WHITE, BLACK, BLACK)
    ]
    assert answers == ["White", "Black", "White", "Black", "Black"]


def test_the_same_text_around_another_picture_of_the_same_size_is_no_cache_hit(client: httpx.Client) -> None:
    long = "Look closely at the picture, then answer in one word. " * 20 + BACKGROUND
    first = [generate(client, asked(jpeg(scene), long), max_new_tokens=8) for scene in (WHITE, BLACK)]
    again = [generate(client, asked(jpeg(scene), long), max_new_tokens=8) for scene in (WHITE, BLACK)]
    assert first == again
    assert first[0] != first[1]


def test_the_three_forms_of_an_image_and_the_model_s_own_path_say_the_same(client: httpx.Client) -> None:
    data = jpeg(BLACK)
    encoded = base64.b64encode(data).decode()
    uri = f"data:image/jpeg;base64,{encoded}"
    whole = asked(data, BACKGROUND)
    forms = [whole, *(whole.replace(tag(data), one) for one in (f"<image>{uri}</image>", f"![]({uri})"))]
    assert len(set(forms)) == 3
    assert {generate(client, inputs) for inputs in forms} == {"Black"}
    own = client.post(f"/{VISION_MODEL}/generate", json={"inputs": whole})
    assert own.json()["generated_text"].strip() == "Black"


def test_several_pictures_are_taken_up_to_the_model_s_limit(client: httpx.Client, vision_model: Path) -> None:
    limits = read_manifest(vision_model).image_limits
    assert limits is not None
    data = jpeg(WHITE)
    assert generate(client, tag(data) * limits.max_images + BACKGROUND, max_new_tokens=8, ignore_eos=True)
    message = refusal(client, tag(data) * (limits.max_images + 1) + BACKGROUND)
    assert f"at most {limits.max_images} " in message


def test_text_alone_goes_to_the_first_model_and_is_answered_by_the_vision_model_too(
    client: httpx.Client,
) -> None:
    assert "Paris" in generate(client, TEXT, max_new_tokens=12)
    assert generate(client, TEXT, VISION_MODEL, max_new_tokens=12)
    for content, model in (
        (parts("Hello?"), "smollm2-135m-instruct"),
        (parts(BACKGROUND, data_uri(draw(WHITE))), VISION_MODEL),
    ):
        body = {"model": "", "messages": content, "max_tokens": 2}
        assert client.post("/v1/chat/completions", json=body).json()["model"] == model


def test_a_text_model_that_is_named_refuses_pictures(client: httpx.Client) -> None:
    assert "takes no images" in refusal(client, asked(jpeg(WHITE), BACKGROUND), "smollm2-135m-instruct")


@pytest.mark.parametrize(
    "text",
    [
        "<ov_genai_image_0> what?",
        "what is <ov_genai_video_0>",
        "<image> what?",
        "what?</image>",
        "<image><image>QUJD</image></image>",
        f"{tag(jpeg(WHITE))} and <ov_genai_image_0>",
        f"{tag(jpeg(WHITE))} and <image>",
    ],
    ids=lambda text: text[:24],
)
def test_what_stands_for_an_image_is_refused_in_text(client: httpx.Client, text: str) -> None:
    assert "image" in refusal(client, text, VISION_MODEL)
    body = {"model": VISION_MODEL, "messages": parts(text), "max_tokens": 4}
    assert "image" in refused(client.post("/v1/chat/completions", json=body))


@pytest.mark.parametrize("parameters", [{"decoder_input_details": True, "details": True}, {"truncate": 20}])
def test_parameters_that_images_exclude_are_refused_by_name(
    client: httpx.Client, parameters: dict[str, Any]
) -> None:
    message = refusal(client, asked(jpeg(WHITE), BACKGROUND), **parameters)
    assert f"`{next(iter(parameters))}`" in message


def test_openai_s_client_sends_pictures(vision_server: RunningServer) -> None:
    with OpenAI(base_url=f"{vision_server.url}/v1", api_key=vision_server.token, max_retries=0) as client:

        def ask(*uris: str) -> Any:
            return client.chat.completions.create(
                model=VISION_MODEL, messages=parts(BACKGROUND, *uris), temperature=0, max_tokens=8
            )

        answer = ask(data_uri(draw(BLACK)))
        assert str(answer.choices[0].message.content).strip() == "Black"
        # The picture's own tokens count.
        assert answer.usage.prompt_tokens > ask().usage.prompt_tokens + 10


def test_hugging_face_s_client_sends_pictures(vision_server: RunningServer) -> None:
    with InferenceClient(base_url=vision_server.url, api_key=vision_server.token, timeout=60) as client:
        answer = client.chat_completion(
            parts(BACKGROUND, data_uri(draw(WHITE))), model=VISION_MODEL, temperature=0, max_tokens=8
        )
    assert str(answer.choices[0].message.content).strip() == "White"


def test_a_stream_about_a_picture_joins_to_the_whole_answer(vision_server: RunningServer) -> None:
    prompt = asked(jpeg(BLACK), "Describe the image.")
    with InferenceClient(model=vision_server.url, token=vision_server.token, timeout=60) as client:
        pieces = list(client.text_generation(prompt, max_new_tokens=40, stream=True))
        assert len(pieces) > 3
        whole = client.text_generation(prompt, max_new_tokens=40, stop=["<|im_end|>"])
    assert "".join(pieces).removesuffix("<|im_end|>") == whole.removesuffix("<|im_end|>")

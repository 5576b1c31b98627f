import jinja2
import pytest

from export.demo_vlm.assembly import _CHAT_TEMPLATE, TRAINED
from export.demo_vlm.evaluate import chat_prompt
from export.demo_vlm.scenes import SIDE
from export.demo_vlm.shape import IMAGE_TOKENS, PATCH, PREPROCESSOR

QUESTION = "What color is the circle?"
PICTURE = {"type": "image"}
WORDS = {"type": "text", "text": QUESTION}


def rendered(content: object, *, system: str | None = None) -> str:
    head = [] if system is None else [{"role": "system", "content": system}]
    template = jinja2.Environment(autoescape=False).from_string(_CHAT_TEMPLATE)
    return template.render(messages=[*head, {"role": "user", "content": content}], add_generation_prompt=True)


def test_the_template_writes_parts_as_the_model_was_trained() -> None:
    assert rendered([PICTURE, WORDS]) == chat_prompt(QUESTION)
    assert rendered([WORDS]) == rendered(QUESTION)


def test_the_template_keeps_a_system_message_of_the_user() -> None:
    text = rendered([PICTURE, WORDS], system="Be brief.")
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<image>\n")
    assert text.count("<|im_start|>system") == 1


def test_the_sizes_agree_with_each_other() -> None:
    assert IMAGE_TOKENS * PATCH**2 == SIDE**2
    assert PREPROCESSOR["crop_size"] == {"height": SIDE, "width": SIDE}


def test_the_trained_weights_are_small_and_whole() -> None:
    if not TRAINED.exists():
        pytest.skip(f"no {TRAINED.name} yet: scripts/train_demo_vlm.py makes it")
    assert TRAINED.stat().st_size < 8_000_000
    from safetensors import safe_open

    with safe_open(TRAINED, framework="np") as file:
        names = list(file.keys())
        assert {file.get_tensor(name).dtype.name for name in names} == {"float16"}
    assert any(name.startswith("model.multi_modal_projector.") for name in names)
    assert any(name.startswith("model.vision_tower.") for name in names)
    assert not any("language_model" in name or "lm_head" in name for name in names)

import inspect
import re
import subprocess
import sys

from export.demo_vlm import evaluate, joint_training, tower_training, word_alignment
from export.demo_vlm.evaluate import HELD_OUT_SEED, accuracy, chat_prompt, held_out
from export.demo_vlm.questions import KINDS
from export.demo_vlm.scenes import draw, scene


def test_the_held_out_set_is_the_same_each_time_and_in_every_order_of_size() -> None:
    few, more = held_out(30), held_out(60)
    assert [(one.question, one.answer) for one in few] == [(one.question, one.answer) for one in more[:30]]
    assert [one.picture.tobytes() for one in few] == [one.picture.tobytes() for one in more[:30]]
    assert {one.kind for one in more} == set(KINDS)


def test_each_example_shows_its_own_scene() -> None:
    for one in held_out(20):
        assert draw(one.scene).tobytes() == one.picture.tobytes()


def test_no_training_takes_a_held_out_scene() -> None:
    fresh = {one.scene for one in held_out(500)}
    for module in (tower_training, word_alignment, joint_training):
        first, count = module._FIRST_SCENE, module._SCENES
        assert first + count <= HELD_OUT_SEED
        assert not fresh & {scene(seed) for seed in range(first, first + count, max(10, count // 1000))}


def test_answers_count_word_for_word_but_for_blanks_around_them() -> None:
    examples = held_out(4)
    given = [f"\n{examples[0].answer} ", examples[1].answer, "nonsense", f"{examples[3].answer}!"]
    told = accuracy(examples, given)
    assert told["all"] == (2, 4)
    assert told[examples[2].kind] == (0, 1)


def test_a_chat_prompt_has_one_place_for_the_picture() -> None:
    prompt = chat_prompt("What do you see?")
    assert re.findall("<image>", prompt) == ["<image>"]
    assert prompt.endswith("What do you see?<|im_end|>\n<|im_start|>assistant\n")


def test_measuring_needs_no_torch() -> None:
    check = (
        "import sys; sys.modules['torch'] = None; from export.demo_vlm.evaluate import held_out; held_out(1)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
    assert "torch" not in inspect.getsource(evaluate)

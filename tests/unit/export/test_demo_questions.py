"""Reads each question anew, by its words, and answers it from the scene without the code that asked it."""

import random
import re
from collections.abc import Callable

import pytest

from export.demo_vlm.questions import KINDS, WORDINGS, ask, describe
from export.demo_vlm.scenes import QUARTERS, Scene, Spot, scene

SEEDS = range(400)
COUNTS = ["Zero", "One", "Two", "Three"]


def the_only(spots: tuple[Spot, ...]) -> Spot:
    assert len(spots) == 1, "the question has not one right answer"
    return spots[0]


def color(shown: Scene, found: re.Match[str]) -> str:
    """Told where the question names the things as they are, one or several."""
    assert found["things"] == shown.shape + ("s" if len(shown.spots) > 1 else "")
    return shown.color.capitalize()


def sentence(shown: Scene, _found: re.Match[str]) -> str:
    article = "An" if shown.color == "orange" else "A"
    if len(shown.spots) == 1:
        place = QUARTERS[the_only(shown.spots).quarter]
        return f"{article} {shown.color} {shown.shape} in the {place} on a {shown.background} background."
    many = COUNTS[len(shown.spots)]
    return f"{many} {shown.color} {shown.shape}s on a {shown.background} background."


Reading = tuple[str, Callable[[Scene, re.Match[str]], str]]
READINGS: list[Reading] = [
    (
        r"How many (objects are there|shapes are in the image)\?|Count the objects\.",
        lambda shown, _: COUNTS[len(shown.spots)],
    ),
    (
        r"What (color is the background|is the background color)\?",
        lambda shown, _: shown.background.capitalize(),
    ),
    (
        r"What shape (is in the image|is it)\?|Which shape do you see\?",
        lambda shown, _: shown.shape.capitalize(),
    ),
    (r"What (color is|color are|is the color of) the (?P<things>\w+)\?", color),
    (
        r"(Where|In which corner) is the \w+\?",
        lambda shown, _: QUARTERS[the_only(shown.spots).quarter].capitalize(),
    ),
]
DESCRIPTION: Reading = (r".+", sentence)


@pytest.mark.parametrize("kind", KINDS)
def test_each_question_has_one_right_answer_and_it_is_the_one_given(kind: str) -> None:
    wordings = set()
    for seed in SEEDS:
        shown = scene(seed)
        question = ask(shown, kind, random.Random(seed))
        if question is None:
            continue
        readings = [DESCRIPTION] if kind == "describe" else READINGS
        found = [(re.fullmatch(words, question.text), answer) for words, answer in readings]
        match, answer = next((match, answer) for match, answer in found if match is not None)
        assert answer(shown, match) == question.answer, question.text
        assert question.kind == kind
        wordings.add(unfilled(question.text, kind))
    assert wordings == set(WORDINGS[kind])


def test_where_is_asked_of_a_single_thing_only() -> None:
    for seed in SEEDS:
        asked = ask(scene(seed), "where", random.Random(seed))
        assert (asked is not None) == (len(scene(seed).spots) == 1)


def test_the_description_counts_several() -> None:
    shown = next(scene(seed) for seed in SEEDS if len(scene(seed).spots) == 3)
    assert re.fullmatch(r"Three \w+ (circle|square|triangle)s on a \w+ background\.", describe(shown))


def unfilled(text: str, kind: str) -> str:
    """The wording that `text` was made from."""
    for wording in WORDINGS[kind]:
        words = re.sub(r"\\{\w+\\}", r"\\w+", re.escape(wording))
        if re.fullmatch(words, text):
            return wording
    raise AssertionError(f"{text} is in no wording of {kind}")

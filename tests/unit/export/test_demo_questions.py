"""Reads each question anew, by its words, and answers it from the scene without the code that asked it."""

import random
import re
from collections.abc import Callable

import pytest

from export.demo_vlm.questions import KINDS, WORDINGS, ask, describe
from export.demo_vlm.scenes import QUARTERS, Scene, Thing, scene

SEEDS = range(400)
COUNTS = ["Zero", "One", "Two", "Three"]
QUARTER = rf"(?P<quarter>{'|'.join(QUARTERS)})"
THINGS = r"(?P<word>\w+)"


def the_only(things: list[Thing]) -> Thing:
    assert len(things) == 1, "the question has not one right answer"
    return things[0]


def at(shown: Scene, found: re.Match[str]) -> Thing:
    return the_only([thing for thing in shown.things if QUARTERS[thing.quarter] == found["quarter"]])


def of_shape(shown: Scene, found: re.Match[str]) -> list[Thing]:
    return [thing for thing in shown.things if thing.shape == found["word"]]


def of_color(shown: Scene, found: re.Match[str]) -> list[Thing]:
    return [thing for thing in shown.things if thing.color == found["word"]]


def named(shown: Scene, found: re.Match[str]) -> Thing:
    words = (found["color"], found["shape"])
    return the_only([thing for thing in shown.things if (thing.color, thing.shape) == words])


def yes_or_no(things: list[Thing]) -> str:
    return "Yes" if things else "No"


def sentence(shown: Scene, _found: re.Match[str]) -> str:
    things = [
        ("an " if thing.color == "orange" else "a ") + f"{thing.color} {thing.shape}"
        for thing in shown.things
    ]
    joined = {1: "{}", 2: "{} and {}", 3: "{}, {} and {}"}[len(things)].format(*things)
    return f"A{joined[1:]} on a {shown.background} background."


Reading = tuple[str, Callable[[Scene, re.Match[str]], str]]
READINGS: list[Reading] = [
    (
        r"How many (objects are there|shapes are in the image)\?|Count the objects\.",
        lambda shown, _: COUNTS[len(shown.things)],
    ),
    (
        r"What (color is the background|is the background color)\?",
        lambda shown, _: shown.background.capitalize(),
    ),
    (
        rf"(What|Which) shape is in the {QUARTER}( of the image)?\?",
        lambda *read: at(*read).shape.capitalize(),
    ),
    (rf"What color is the object in the {QUARTER}\?", lambda *read: at(*read).color.capitalize()),
    (rf"What is the color of the shape in the {QUARTER}\?", lambda *read: at(*read).color.capitalize()),
    (
        rf"What (color is|is the color of) the {THINGS}\?",
        lambda *read: the_only(of_shape(*read)).color.capitalize(),
    ),
    (rf"What shape is the {THINGS} object\?", lambda *read: the_only(of_color(*read)).shape.capitalize()),
    (rf"What shape is {THINGS}\?", lambda *read: the_only(of_color(*read)).shape.capitalize()),
    (
        r"(Where|In which corner) is the (?P<color>\w+) (?P<shape>\w+)\?",
        lambda *read: QUARTERS[named(*read).quarter].capitalize(),
    ),
    (rf"Is there an? {THINGS} object\?", lambda *read: yes_or_no(of_color(*read))),
    (rf"Do you see something {THINGS}\?", lambda *read: yes_or_no(of_color(*read))),
    (rf"Is there a {THINGS}( in the image)?\?", lambda *read: yes_or_no(of_shape(*read))),
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


@pytest.mark.parametrize("kind", ["exists", "color exists"])
def test_yes_and_no_are_about_equally_common(kind: str) -> None:
    asked = [ask(scene(seed), kind, random.Random(seed)) for seed in SEEDS]
    answers = [question.answer for question in asked if question is not None]
    assert 0.35 < answers.count("Yes") / len(answers) < 0.65


def test_no_question_is_asked_of_two_alike() -> None:
    one = Thing(shape="circle", color="red", quarter=0, x=28, y=28, radius=20, shade=0)
    other = Thing(shape="circle", color="red", quarter=3, x=84, y=84, radius=20, shade=0)
    alike = Scene(background="white", things=(one, other))
    for kind in ("color of", "shape of", "where"):
        assert ask(alike, kind, random.Random(0)) is None


def test_the_description_joins_three_things() -> None:
    shown = next(scene(seed) for seed in SEEDS if len(scene(seed).things) == 3)
    assert re.fullmatch(r"An? \w+ \w+, an? \w+ \w+ and an? \w+ \w+ on a \w+ background\.", describe(shown))


def unfilled(text: str, kind: str) -> str:
    """The wording that `text` was made from."""
    for wording in WORDINGS[kind]:
        words = re.sub(r"\\{\w+\\}", r"(\\w+|(top|bottom) (left|right))", re.escape(wording))
        if re.fullmatch(words, text):
            return wording
    raise AssertionError(f"{text} is in no wording of {kind}")

"""Questions about scenes, each with exactly one right answer."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from export.demo_vlm.scenes import QUARTERS, Scene

NUMBERS = ("zero", "one", "two", "three")

WORDINGS = {
    "count": ("How many objects are there?", "How many shapes are in the image?", "Count the objects."),
    "background": ("What color is the background?", "What is the background color?"),
    "shape": ("What shape is in the image?", "Which shape do you see?", "What shape is it?"),
    "color": ("What color {verb} the {things}?", "What is the color of the {things}?"),
    "where": ("Where is the {things}?", "In which corner is the {things}?"),
    "describe": (
        "Describe what you see in detail.",
        "What is happening in this image?",
        "What is in this image?",
        "Describe the image.",
        "What do you see?",
        "Describe this picture in one sentence.",
    ),
}
KINDS = tuple(WORDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of one of the KINDS, and its answer word for word."""

    kind: str
    text: str
    answer: str


def ask(scene: Scene, kind: str, chance: random.Random) -> Question | None:
    """A question of that kind in a wording drawn from `chance`; None where no answer is the only one."""
    asked = _ASKERS[kind](scene)
    if asked is None:
        return None
    words, answer = asked
    return Question(kind=kind, text=chance.choice(WORDINGS[kind]).format(**words), answer=answer)


def describe(scene: Scene) -> str:
    """The one-sentence description."""
    things = f"{scene.color} {_things(scene)}"
    if len(scene.spots) == 1:
        seen = f"{_article(scene.color).capitalize()} {things} in the {QUARTERS[scene.spots[0].quarter]}"
    else:
        seen = f"{NUMBERS[len(scene.spots)].capitalize()} {things}"
    return f"{seen} on a {scene.background} background."


_Asked = tuple[dict[str, str], str] | None


def _count(scene: Scene) -> _Asked:
    return {}, NUMBERS[len(scene.spots)].capitalize()


def _background(scene: Scene) -> _Asked:
    return {}, scene.background.capitalize()


def _shape(scene: Scene) -> _Asked:
    return {}, scene.shape.capitalize()


def _color(scene: Scene) -> _Asked:
    verb = "is" if len(scene.spots) == 1 else "are"
    return {"verb": verb, "things": _things(scene)}, scene.color.capitalize()


def _where(scene: Scene) -> _Asked:
    if len(scene.spots) > 1:
        return None
    return {"things": _things(scene)}, QUARTERS[scene.spots[0].quarter].capitalize()


def _describe(scene: Scene) -> _Asked:
    return {}, describe(scene)


def _things(scene: Scene) -> str:
    return scene.shape if len(scene.spots) == 1 else f"{scene.shape}s"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


_ASKERS: dict[str, Callable[[Scene], _Asked]] = {
    "count": _count,
    "background": _background,
    "shape": _shape,
    "color": _color,
    "where": _where,
    "describe": _describe,
}

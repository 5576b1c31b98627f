"""Questions about scenes, each with exactly one right answer."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from export.demo_vlm.scenes import COLORS, QUARTERS, SHAPES, Scene

_NUMBERS = ("Zero", "One", "Two", "Three")

WORDINGS = {
    "count": ("How many objects are there?", "How many shapes are in the image?", "Count the objects."),
    "background": ("What color is the background?", "What is the background color?"),
    "shape": ("What shape is in the image?", "Which shape do you see?", "What shape is it?"),
    "color": ("What color {verb} the {things}?", "What is the color of the {things}?"),
    "where": ("Where is the {things}?", "In which corner is the {things}?"),
    "exists": ("Is there a {shape}?", "Is there a {shape} in the image?"),
    "color exists": ("Is there {article} {color} object?", "Do you see something {color}?"),
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
    asked = _ASKERS[kind](scene, chance)
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
        seen = f"{_NUMBERS[len(scene.spots)]} {things}"
    return f"{seen} on a {scene.background} background."


_Asked = tuple[dict[str, str], str] | None


def _count(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, _NUMBERS[len(scene.spots)]


def _background(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, scene.background.capitalize()


def _shape(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, scene.shape.capitalize()


def _color(scene: Scene, _chance: random.Random) -> _Asked:
    verb = "is" if len(scene.spots) == 1 else "are"
    return {"verb": verb, "things": _things(scene)}, scene.color.capitalize()


def _where(scene: Scene, _chance: random.Random) -> _Asked:
    if len(scene.spots) > 1:
        return None
    return {"things": _things(scene)}, QUARTERS[scene.spots[0].quarter].capitalize()


def _exists(scene: Scene, chance: random.Random) -> _Asked:
    shape = _this_or_other(scene.shape, SHAPES, chance)
    return {"shape": shape}, "Yes" if shape == scene.shape else "No"


def _color_exists(scene: Scene, chance: random.Random) -> _Asked:
    color = _this_or_other(scene.color, tuple(COLORS), chance)
    return {"color": color, "article": _article(color)}, "Yes" if color == scene.color else "No"


def _describe(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, describe(scene)


def _things(scene: Scene) -> str:
    return scene.shape if len(scene.spots) == 1 else f"{scene.shape}s"


def _this_or_other(this: str, known: tuple[str, ...], chance: random.Random) -> str:
    return this if chance.random() < 0.5 else chance.choice([one for one in known if one != this])


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


_ASKERS: dict[str, Callable[[Scene, random.Random], _Asked]] = {
    "count": _count,
    "background": _background,
    "shape": _shape,
    "color": _color,
    "where": _where,
    "exists": _exists,
    "color exists": _color_exists,
    "describe": _describe,
}

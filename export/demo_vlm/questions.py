"""Questions about scenes, each with exactly one right answer."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from export.demo_vlm.scenes import COLORS, QUARTERS, SHAPES, Scene, Thing

_NUMBERS = ("Zero", "One", "Two", "Three")

WORDINGS = {
    "count": ("How many objects are there?", "How many shapes are in the image?", "Count the objects."),
    "background": ("What color is the background?", "What is the background color?"),
    "shape at": ("What shape is in the {quarter}?", "Which shape is in the {quarter} of the image?"),
    "color at": (
        "What color is the object in the {quarter}?",
        "What is the color of the shape in the {quarter}?",
    ),
    "color of": ("What color is the {shape}?", "What is the color of the {shape}?"),
    "shape of": ("What shape is the {color} object?", "What shape is {color}?"),
    "where": ("Where is the {color} {shape}?", "In which corner is the {color} {shape}?"),
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
    things = [f"{_article(thing.color)} {thing.color} {thing.shape}" for thing in scene.things]
    listed = " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
    return f"{listed[0].upper()}{listed[1:]} on a {scene.background} background."


_Asked = tuple[dict[str, str], str] | None


def _count(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, _NUMBERS[len(scene.things)]


def _background(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, scene.background.capitalize()


def _shape_at(scene: Scene, chance: random.Random) -> _Asked:
    thing = chance.choice(scene.things)
    return {"quarter": QUARTERS[thing.quarter]}, thing.shape.capitalize()


def _color_at(scene: Scene, chance: random.Random) -> _Asked:
    thing = chance.choice(scene.things)
    return {"quarter": QUARTERS[thing.quarter]}, thing.color.capitalize()


def _only(scene: Scene, chance: random.Random, key: Callable[[Thing], object]) -> Thing | None:
    """One of the things whose `key` no other thing shares."""
    keys = [key(thing) for thing in scene.things]
    alone = [thing for thing in scene.things if keys.count(key(thing)) == 1]
    return chance.choice(alone) if alone else None


def _color_of(scene: Scene, chance: random.Random) -> _Asked:
    thing = _only(scene, chance, lambda thing: thing.shape)
    return ({"shape": thing.shape}, thing.color.capitalize()) if thing else None


def _shape_of(scene: Scene, chance: random.Random) -> _Asked:
    thing = _only(scene, chance, lambda thing: thing.color)
    return ({"color": thing.color}, thing.shape.capitalize()) if thing else None


def _where(scene: Scene, chance: random.Random) -> _Asked:
    thing = _only(scene, chance, lambda thing: (thing.color, thing.shape))
    if thing is None:
        return None
    return {"color": thing.color, "shape": thing.shape}, QUARTERS[thing.quarter].capitalize()


def _exists(scene: Scene, chance: random.Random) -> _Asked:
    there = sorted({thing.shape for thing in scene.things})
    shape = _yes_or_no(there, SHAPES, chance)
    return {"shape": shape}, "Yes" if shape in there else "No"


def _color_exists(scene: Scene, chance: random.Random) -> _Asked:
    there = sorted({thing.color for thing in scene.things})
    color = _yes_or_no(there, tuple(COLORS), chance)
    return {"color": color, "article": _article(color)}, "Yes" if color in there else "No"


def _describe(scene: Scene, _chance: random.Random) -> _Asked:
    return {}, describe(scene)


def _yes_or_no(there: list[str], known: tuple[str, ...], chance: random.Random) -> str:
    missing = [one for one in known if one not in there]
    return chance.choice(missing if missing and chance.random() < 0.5 else there)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


_ASKERS: dict[str, Callable[[Scene, random.Random], _Asked]] = {
    "count": _count,
    "background": _background,
    "shape at": _shape_at,
    "color at": _color_at,
    "color of": _color_of,
    "shape of": _shape_of,
    "where": _where,
    "exists": _exists,
    "color exists": _color_exists,
    "describe": _describe,
}

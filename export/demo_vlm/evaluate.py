"""Fresh pictures with questions, which no training has seen, for whoever measures the model."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from export.demo_vlm.prompts import chat_prompt
from export.demo_vlm.questions import KINDS, ask
from export.demo_vlm.scenes import Scene, draw, scene

HELD_OUT_SEED = 1_000_000_000  # training takes seeds below this one, measuring from it on

__all__ = ["Example", "accuracy", "chat_prompt", "held_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture, a question about it, and the one right answer after `strip()`."""

    scene: Scene
    picture: Image.Image
    question: str
    answer: str
    kind: str


def held_out(count: int) -> list[Example]:
    """The first `count` examples of the held-out set; always the same ones, all kinds in turn."""
    kinds = list(KINDS)
    return [_example(HELD_OUT_SEED + number, kinds[number % len(kinds)]) for number in range(count)]


def accuracy(examples: Iterable[Example], answers: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Right and asked, for each kind and for `all`."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for example, answer in zip(examples, answers, strict=True):
        for kind in (example.kind, "all"):
            asked[kind] += 1
            right[kind] += answer.strip() == example.answer
    return {kind: (right[kind], number) for kind, number in asked.items()}


def _example(seed: int, kind: str) -> Example:
    chance = random.Random(seed + HELD_OUT_SEED)  # noqa: S311 - questions, not secrets
    seen = scene(seed)
    question = ask(seen, kind, chance)
    if question is None:  # nothing of the kind to ask here
        question = ask(seen, "describe", chance)
    assert question is not None, "every scene can be described"  # noqa: S101
    return Example(
        scene=seen, picture=draw(seen), question=question.text, answer=question.answer, kind=question.kind
    )

"""The demo model's card: what it is, what it knows, how often it is right."""

from collections.abc import Mapping
from pathlib import Path

from export.demo_vlm.questions import WORDINGS
from export.demo_vlm.scenes import BACKGROUNDS, COLORS, QUARTERS, SHAPES

MODEL_CARD = Path(__file__).with_name("MODEL_CARD.md")

_TEXT = """\
# tiny-shapes-vlm

**A demo, not a general model.** It knows synthetic pictures of coloured shapes and nothing else: it is for
trying out and testing tiber-serve's way with pictures. About any other picture it talks nonsense.

LLaVA-shaped: a CLIP vision tower (112 pixels, patches of 28, 5 layers of width 192) and a projector,
{parameters:.1f} M parameters, trained here, before SmolLM2-135M-Instruct, which stayed as it is
(Apache 2.0). This folder holds the trained parts in FP16; `python export/convert.py tiny-shapes-vlm` puts
them together and converts the whole to INT8.

## What it knows

Pictures of one to three equal things: {shapes},
in {colors}, on {backgrounds}, each in a quarter of its own ({quarters}).
It is asked in one of these ways:

{questions}

It was taught no other question, none of yes and no, no pictures of different things, and no two pictures at
once.

## How often it is right

{right} of {asked} fresh questions about fresh pictures, answered word for word (greedy, unquantised, in
transformers):

| kind | right | asked | share |
| --- | --- | --- | --- |
{rows}

`{command}`, {machine}, {date}.
Over HTTP and with INT8 weights: `python -m benchmarks vision-accuracy --reference`.

## How it was trained

From seeds, by `{command}`: the tower learned to tell what is where
({tower_steps} steps), the projector to say it in the language model's own words, then both together to answer
questions through the frozen language model ({steps} steps).
"""


def model_card(
    results: Mapping[str, tuple[int, int]],
    *,
    parameters: int,
    steps: tuple[int, int],
    command: str,
    machine: str,
    date: str,
) -> str:
    """The card in Markdown.

    Args:
        results: right and asked of each kind and of `all`, as of evaluate.accuracy.
        parameters: how many were trained.
        steps: the tower's, and both parts' together.
        command: what was run.
        machine: its name.
        date: when.
    """
    rows = [
        f"| {kind} | {right} | {asked} | {right / asked:.3f} |" for kind, (right, asked) in results.items()
    ]
    asked_in = [f"- {kind}: {' '.join(wordings)}" for kind, wordings in WORDINGS.items()]
    right, asked = results["all"]
    return _TEXT.format(
        parameters=parameters / 1e6,
        shapes=", ".join(SHAPES),
        colors=", ".join(COLORS),
        backgrounds=", ".join(BACKGROUNDS),
        quarters=", ".join(QUARTERS),
        questions="\n".join(asked_in).format(verb="is", things="circle"),
        right=right,
        asked=asked,
        rows="\n".join(rows),
        command=command,
        machine=machine,
        date=date,
        tower_steps=steps[0],
        steps=steps[1],
    )

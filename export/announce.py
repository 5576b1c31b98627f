"""Tells what a conversion will need and, after it, what came of its recipe."""

from typing import TYPE_CHECKING

from rich.markup import escape

from export.memory import ServingNeed, serving_need
from export.progress import Steps
from export.recipe import Recipe
from export.resources import Need, readable
from export.shape import Shape

if TYPE_CHECKING:
    from export.quantise import Compression

SERVED_TOTAL, SERVED_AT_ONCE = 8_192, 8
NAMED_LAYERS = 3


def announce(recipe: Recipe, need: Need, shape: Shape, steps: Steps) -> None:
    """Say what is about to be done, what it takes here, and what serving the result will take."""
    steps.note(f"Recipe: {recipe.summary()}")
    if recipe.hardware_note:
        steps.note(f"[yellow]{recipe.hardware_note}[/yellow]")
    here = f"{readable(need.disk)} of disk and {readable(need.memory)} of memory here"
    steps.note(f"Needs {here}{_later(recipe, shape)}")


def report(compression: "Compression", steps: Steps) -> None:
    """Say how the weights are really held, and which of them are not as the recipe wanted."""
    counts = ", ".join(f"{count} in {kind}" for kind, count in compression.precisions.items())
    groups = f", groups of {compression.group_size}" if compression.group_size else ""
    steps.note(f"Weights: {counts}{groups}")
    if compression.fallback:
        steps.note(f"[yellow]{_fallback(compression)}[/yellow]")


def _fallback(compression: "Compression") -> str:
    layers = compression.fallback
    names = [f"{layer.name} ({layer.channel})" for layer in layers[:NAMED_LAYERS]]
    if len(layers) > len(names):
        names.append(f"{len(layers) - len(names)} more")
    return (
        f"{len(layers)} of them are in INT8 because groups of {compression.group_size} leave a remainder on "
        f"their channels: {escape(', '.join(names))}"
    )


def planned_tokens(shape: Shape) -> int:
    """Tokens of a request, prompt and answer, that memory is computed for where nothing else is said."""
    return min(shape.context or SERVED_TOTAL, SERVED_TOTAL)


def _later(recipe: Recipe, shape: Shape) -> str:
    total = planned_tokens(shape)
    need: ServingNeed | None = serving_need(shape, recipe, max_total=total, concurrency=SERVED_AT_ONCE)
    if need is None:
        return ""
    return f"; serving {SERVED_AT_ONCE} requests of {total} tokens at once takes about {readable(need.total)}"

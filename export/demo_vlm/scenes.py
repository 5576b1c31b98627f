"""Synthetic scenes: one to three equal coloured shapes, each in a quarter of its own."""

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle")
COLORS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (50, 80, 220),
    "yellow": (245, 215, 50),
    "purple": (140, 50, 170),
    "orange": (245, 140, 30),
}
BACKGROUNDS = {"white": (250, 250, 250), "black": (15, 15, 15), "gray": (130, 130, 130)}
QUARTERS = ("top left", "top right", "bottom left", "bottom right")
SIDE = 112
"""The model's own picture size in pixels, both ways."""

_LEAST_RADIUS, _MOST_RADIUS = 15.0, 22.0
_MARGIN = 3.0
_SHADE = 12
# Only of one thing can be asked where it is, so there is one more often.
_COUNTS = (1, 1, 2, 3)
MOST_THINGS = max(_COUNTS)
# Corners are drawn at this many times the size, then made smaller, which smooths the edges.
_OVERSAMPLING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a thing is, in one of the QUARTERS; centre and radius in pixels of a picture of SIDE."""

    quarter: int
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a picture shows: things of one `shape` and `color`, their `spots` in the order of the quarters."""

    background: str
    shape: str
    color: str
    spots: tuple[Spot, ...]
    shade: int = 0
    """Added to each part of the colour."""


def scene(seed: int) -> Scene:
    """The scene of that seed, always the same."""
    chance = random.Random(f"tiny-shapes {seed}")  # noqa: S311 - pictures, not secrets
    quarters = sorted(chance.sample(range(4), chance.choice(_COUNTS)))
    return Scene(
        background=chance.choice(list(BACKGROUNDS)),
        shape=chance.choice(SHAPES),
        color=chance.choice(list(COLORS)),
        spots=tuple(_spot(quarter, chance) for quarter in quarters),
        shade=chance.randint(-_SHADE, _SHADE),
    )


def draw(scene: Scene, size: int = SIDE) -> Image.Image:
    """The scene as an RGB picture of `size` x `size` pixels."""
    scale = size * _OVERSAMPLING / SIDE
    picture = Image.new("RGB", (size * _OVERSAMPLING,) * 2, BACKGROUNDS[scene.background])
    pencil = ImageDraw.Draw(picture)
    fill = tuple(min(255, max(0, part + scene.shade)) for part in COLORS[scene.color])
    for spot in scene.spots:
        _draw_shape(pencil, scene.shape, fill, (spot.x * scale, spot.y * scale, spot.radius * scale))
    return picture.resize((size, size), Image.Resampling.BOX)


def _spot(quarter: int, chance: random.Random) -> Spot:
    radius = chance.uniform(_LEAST_RADIUS, _MOST_RADIUS)
    half = SIDE / 2
    free = half / 2 - radius - _MARGIN
    return Spot(
        quarter=quarter,
        x=(quarter % 2 + 0.5) * half + chance.uniform(-free, free),
        y=(quarter // 2 + 0.5) * half + chance.uniform(-free, free),
        radius=radius,
    )


def _draw_shape(
    pencil: ImageDraw.ImageDraw, shape: str, fill: tuple[int, ...], spot: tuple[float, float, float]
) -> None:
    x, y, radius = spot
    if shape == "circle":
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    elif shape == "square":
        half = radius * 0.86
        pencil.rectangle((x - half, y - half, x + half, y + half), fill=fill)
    else:
        corners = [
            (x + radius * math.sin(turn), y - radius * math.cos(turn))
            for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3)
        ]
        pencil.polygon(corners, fill=fill)

import itertools

import numpy as np
import pytest

from export.demo_vlm.scenes import BACKGROUNDS, COLORS, QUARTERS, SHAPES, SIDE, Scene, Thing, draw, scene

SEEDS = range(500)


def test_a_seed_is_one_scene_and_one_picture() -> None:
    assert scene(7) == scene(7)
    assert draw(scene(7)).tobytes() == draw(scene(7)).tobytes()
    assert len({scene(seed) for seed in SEEDS}) == len(SEEDS)


def test_things_lie_in_their_own_quarter_and_apart() -> None:
    for seed in SEEDS:
        things = scene(seed).things
        assert 1 <= len(things) <= 3
        for thing in things:
            row, column = divmod(thing.quarter, 2)
            assert column * SIDE / 2 < thing.x - thing.radius
            assert thing.x + thing.radius < (column + 1) * SIDE / 2
            assert row * SIDE / 2 < thing.y - thing.radius
            assert thing.y + thing.radius < (row + 1) * SIDE / 2
        for one, other in itertools.combinations(things, 2):
            assert one.quarter < other.quarter


def test_every_trait_comes_up() -> None:
    scenes = [scene(seed) for seed in SEEDS]
    things = [thing for shown in scenes for thing in shown.things]
    assert {thing.shape for thing in things} == set(SHAPES)
    assert {thing.color for thing in things} == set(COLORS)
    assert {QUARTERS[thing.quarter] for thing in things} == set(QUARTERS)
    assert {shown.background for shown in scenes} == set(BACKGROUNDS)


@pytest.mark.parametrize("size", [SIDE, 400])
def test_a_picture_shows_each_thing_in_its_colour_on_the_background(size: int) -> None:
    for seed in range(40):
        shown = scene(seed)
        pixels = np.asarray(draw(shown, size)).astype(int)
        assert pixels.shape == (size, size, 3)
        assert tuple(pixels[0, 0]) == BACKGROUNDS[shown.background]
        for thing in shown.things:
            middle = pixels[round(thing.y * size / SIDE), round(thing.x * size / SIDE)]
            assert nearest(middle) == thing.color


def test_the_shapes_of_one_size_differ_in_area() -> None:
    areas = {shape: covered(shape) for shape in SHAPES}
    assert areas["circle"] > 1.02 * areas["square"] > 1.5 * areas["triangle"]


def test_a_larger_picture_is_drawn_anew_rather_than_scaled() -> None:
    scaled = draw(scene(3)).resize((448, 448))
    assert np.abs(np.asarray(draw(scene(3), 448)).astype(int) - np.asarray(scaled)).max() > 20


def nearest(pixel: np.ndarray) -> str:
    return min(COLORS, key=lambda name: int(np.abs(pixel - COLORS[name]).sum()))


def covered(shape: str) -> int:
    thing = Thing(shape=shape, color="red", quarter=0, x=28, y=28, radius=20, shade=0)
    pixels = np.asarray(draw(Scene(background="black", things=(thing,)))).astype(int)
    return int((pixels[..., 0] > 120).sum())

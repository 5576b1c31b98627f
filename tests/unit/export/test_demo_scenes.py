import itertools

import numpy as np
import pytest

from export.demo_vlm.scenes import BACKGROUNDS, COLORS, QUARTERS, SHAPES, SIDE, Scene, Spot, draw, scene

SEEDS = range(500)


def test_a_seed_is_one_scene_and_one_picture() -> None:
    assert scene(7) == scene(7)
    assert draw(scene(7)).tobytes() == draw(scene(7)).tobytes()
    assert len({scene(seed) for seed in SEEDS}) == len(SEEDS)


def test_spots_lie_in_their_own_quarter_and_apart() -> None:
    for seed in SEEDS:
        spots = scene(seed).spots
        assert 1 <= len(spots) <= 3
        for spot in spots:
            row, column = divmod(spot.quarter, 2)
            assert column * SIDE / 2 < spot.x - spot.radius
            assert spot.x + spot.radius < (column + 1) * SIDE / 2
            assert row * SIDE / 2 < spot.y - spot.radius
            assert spot.y + spot.radius < (row + 1) * SIDE / 2
        for one, other in itertools.combinations(spots, 2):
            assert one.quarter < other.quarter


def test_every_trait_comes_up() -> None:
    scenes = [scene(seed) for seed in SEEDS]
    assert {shown.shape for shown in scenes} == set(SHAPES)
    assert {shown.color for shown in scenes} == set(COLORS)
    assert {QUARTERS[spot.quarter] for shown in scenes for spot in shown.spots} == set(QUARTERS)
    assert {len(shown.spots) for shown in scenes} == {1, 2, 3}
    assert {shown.background for shown in scenes} == set(BACKGROUNDS)


@pytest.mark.parametrize("size", [SIDE, 400])
def test_a_picture_shows_each_thing_in_its_colour_on_the_background(size: int) -> None:
    for seed in range(40):
        shown = scene(seed)
        pixels = np.asarray(draw(shown, size)).astype(int)
        assert pixels.shape == (size, size, 3)
        assert tuple(pixels[0, 0]) == BACKGROUNDS[shown.background]
        for spot in shown.spots:
            middle = pixels[round(spot.y * size / SIDE), round(spot.x * size / SIDE)]
            assert nearest(middle) == shown.color


def test_the_shapes_of_one_size_differ_in_area() -> None:
    areas = {shape: covered(shape) for shape in SHAPES}
    assert areas["circle"] > 1.02 * areas["square"] > 1.5 * areas["triangle"]


def test_a_larger_picture_is_drawn_anew_rather_than_scaled() -> None:
    scaled = draw(scene(3)).resize((448, 448))
    assert np.abs(np.asarray(draw(scene(3), 448)).astype(int) - np.asarray(scaled)).max() > 20


def nearest(pixel: np.ndarray) -> str:
    return min(COLORS, key=lambda name: int(np.abs(pixel - COLORS[name]).sum()))


def covered(shape: str) -> int:
    spot = Spot(quarter=0, x=28, y=28, radius=20)
    shown = Scene(background="black", shape=shape, color="red", spots=(spot,))
    return int((np.asarray(draw(shown)).astype(int)[..., 0] > 120).sum())

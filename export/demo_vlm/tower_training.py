"""Trains the demo model's vision tower to tell what is where, background and count."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from export.demo_vlm.scenes import (
    BACKGROUNDS,
    COLORS,
    MOST_THINGS,
    QUARTERS,
    SHAPES,
    SIDE,
    Scene,
    draw,
    scene,
)
from export.demo_vlm.shape import FEATURE_LAYER, IMAGE_TOKENS, MEAN, PATCH, STD, TOWER, TOWER_WIDTH

if TYPE_CHECKING:
    import torch
    from transformers import CLIPVisionModel

_SCENES = 30_000
_FIRST_SCENE = 1_000_000
_BATCH = 64
_RATE = 1.2e-3
_CHECKPOINT_STEPS = 100
_WEIGHTS = (1.0, 1.0, 0.3, 0.5, 0.5, 0.3)
_SHAPES, _COLORS, _BACKGROUNDS = list(SHAPES), list(COLORS), list(BACKGROUNDS)
# One class more for what may not be there: a shape and a colour in a quarter, a place of the only thing.
_SIZES = (
    len(SHAPES) + 1,
    len(COLORS) + 1,
    len(BACKGROUNDS),
    MOST_THINGS + 1,
    len(QUARTERS) + 1,
    IMAGE_TOKENS,
)

Report = Callable[[int, str], None]


def pictures(first: int, count: int) -> "torch.Tensor":
    """The scenes of those seeds, uint8 [count, SIDE, SIDE, 3]."""
    from multiprocessing import Pool

    import torch

    with Pool() as pool:
        drawn = pool.map(_pixels, range(first, first + count), chunksize=128)
    return torch.from_numpy(np.stack(drawn))


def features(tower: "CLIPVisionModel", pixels: "torch.Tensor") -> "torch.Tensor":
    """What the projector gets, float [pictures, patches, TOWER_WIDTH], of uint8 [pictures, SIDE, SIDE, 3]."""
    outputs = tower(to_values(pixels), output_hidden_states=True)
    patches: torch.Tensor = outputs.hidden_states[FEATURE_LAYER][:, 1:]
    return patches


def to_values(pixels: "torch.Tensor") -> "torch.Tensor":
    """What the tower takes, float [pictures, 3, SIDE, SIDE], of uint8 [pictures, SIDE, SIDE, 3]."""
    import torch

    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def train_tower(checkpoint: Path, steps: int, report: Report) -> "CLIPVisionModel":
    """Train for `steps` in all, going on from `checkpoint` where it is there; the tower is in it, too."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(1)
    tower = CLIPVisionModel(CLIPVisionConfig(**TOWER))
    head = torch.nn.Linear(TOWER_WIDTH, sum(_SIZES))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.1)
    parts = {"tower": tower, "head": head, "optimizer": optimizer, "schedule": schedule}
    done = restore(checkpoint, parts)
    if done < steps:
        pixels = pictures(_FIRST_SCENE, _SCENES)
        labels = torch.tensor([_labels(scene(_FIRST_SCENE + index)) for index in range(_SCENES)])
    for step in range(done, steps):
        chosen = torch.randint(0, _SCENES, (_BATCH,), generator=torch.Generator().manual_seed(step))
        with torch.autocast("cpu", torch.bfloat16):
            scores = head(features(tower, pixels[chosen]))
        loss = _loss(scores.float(), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        report(step + 1, f"loss {loss.item():.3f}")
        if (step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == steps:
            save(checkpoint, parts, step + 1)
    return tower.eval()


def restore(checkpoint: Path, parts: dict[str, object]) -> int:
    """Load each part's state; return the steps done, 0 without a checkpoint."""
    import torch

    if not checkpoint.exists():
        return 0
    states = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(states[name])  # type: ignore[attr-defined]
    return int(states["steps"])


def save(checkpoint: Path, parts: dict[str, object], steps: int) -> None:
    """Write the states, whole or not at all."""
    import torch

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    part_file = checkpoint.with_suffix(".part")
    states = {name: part.state_dict() for name, part in parts.items()}  # type: ignore[attr-defined]
    torch.save(states | {"steps": steps}, part_file)
    part_file.replace(checkpoint)


def _pixels(seed: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.asarray(draw(scene(seed)))


def _labels(seen: Scene) -> list[list[int]]:
    """For each patch, row by row, what its quarter shows: shape, colour; then what the picture
    does: background, count, where the only thing is; and which patch it is, or places could not be told.
    """
    quarters = {spot.quarter for spot in seen.spots}
    place = seen.spots[0].quarter if len(seen.spots) == 1 else len(QUARTERS)
    side = SIDE // PATCH
    rows = []
    for patch in range(side * side):
        there = quarter_of(patch) in quarters
        shape = _SHAPES.index(seen.shape) if there else len(_SHAPES)
        color = _COLORS.index(seen.color) if there else len(_COLORS)
        rows.append([shape, color, _BACKGROUNDS.index(seen.background), len(seen.spots), place, patch])
    return rows


def quarter_of(patch: int) -> int:
    """The quarter in which a patch lies."""
    side = SIDE // PATCH
    row, column = divmod(patch, side)
    return 2 * (2 * row // side) + 2 * column // side


def _loss(scores: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    import torch
    from torch.nn.functional import cross_entropy

    told = [part.flatten(0, 1) for part in scores.split(_SIZES, dim=-1)]
    wanted = labels.flatten(0, 1).unbind(-1)
    parts = zip(_WEIGHTS, told, wanted, strict=True)
    return torch.stack([weight * cross_entropy(scored, right) for weight, scored, right in parts]).sum()

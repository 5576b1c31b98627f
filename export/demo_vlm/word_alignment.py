"""Trains the demo model's projector to begin with: each patch becomes a word of the language model."""

from typing import TYPE_CHECKING

from export.demo_vlm.questions import NUMBERS
from export.demo_vlm.scenes import QUARTERS, Scene, scene
from export.demo_vlm.shape import IMAGE_TOKENS
from export.demo_vlm.tower_training import Report, features, pictures, quarter_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlavaForConditionalGeneration

_FIRST_SCENE, _SCENES = 2_000_000, 8000
STEPS, _BATCH, _RATE = 1500, 64, 4e-3
_REPORT_STEPS = 50


def align_to_words(model: "LlavaForConditionalGeneration", tokenizer: "Tokenizer", report: Report) -> None:
    """Fit the projector to the words' embeddings: a minute that saves many behind the language model."""
    import torch

    torch.manual_seed(3)
    projector, table = model.model.multi_modal_projector, model.get_input_embeddings().weight.detach().float()
    with torch.no_grad():
        seen = torch.cat(
            [features(model.model.vision_tower, part) for part in pictures(_FIRST_SCENE, _SCENES).split(256)]
        )
    told = [words(scene(_FIRST_SCENE + index)) for index in range(_SCENES)]
    known = sorted({word for picture in told for word in picture})
    meanings = torch.stack([table[tokenizer.encode(f" {word}").ids].mean(0) for word in known])
    spoken = torch.tensor([[known.index(word) for word in picture] for picture in told])
    scale = table.std()
    optimizer = torch.optim.AdamW(projector.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=STEPS)
    for step in range(STEPS):
        chosen = torch.randint(0, _SCENES, (_BATCH,))
        error = (projector(seen[chosen]) - meanings[spoken[chosen]]) / scale
        loss = error.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % _REPORT_STEPS == 0:
            report(step + 1, f"loss {loss.item():.3f}")


def words(shown: Scene) -> list[str]:
    """A word for each patch. A quarter where something is says its colour, its shape and its place, an
    empty one the background, the count and where the thing is, if it is alone. Both words of a place
    lie side by side as in an answer: a language model goes on from the one to the other.
    """
    quarters = {spot.quarter for spot in shown.spots}
    elsewhere = QUARTERS[shown.spots[0].quarter] if len(shown.spots) == 1 else "empty empty"
    side = int(IMAGE_TOKENS**0.5)
    said = []
    for patch in range(IMAGE_TOKENS):
        quarter = quarter_of(patch)
        if quarter in quarters:
            told = (shown.color, shown.shape, *QUARTERS[quarter].split())
        else:
            told = (shown.background, NUMBERS[len(shown.spots)], *elsewhere.split())
        said.append(told[(patch // side % 2) * 2 + patch % 2])
    return said

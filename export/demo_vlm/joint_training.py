"""Trains the demo model's tower and projector together, through the frozen language model."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from export.demo_vlm.prompts import draw_prompt
from export.demo_vlm.questions import KINDS, Question, ask
from export.demo_vlm.scenes import SIDE, Scene, draw, scene
from export.demo_vlm.shape import IMAGE_MARK, IMAGE_TOKENS
from export.demo_vlm.tower_training import Report, features, restore, save

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlavaForConditionalGeneration

_FIRST_SCENE, _SCENES = 100_000_000, 100_000_000
_PICTURES = 14
_PROJECTOR_RATE, _TOWER_RATE = 2e-3, 3e-4
_CHECKPOINT_STEPS = 25
_END = "<|im_end|>"
_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Several questions about one picture: they share what is before them, and don't see each other.

    `before` ends where the picture begins; `behind` follows it, before the questions part.
    """

    before: list[int]
    behind: list[int]
    branches: list[tuple[list[int], int]]
    """Each question's token ids with its answer's, and how many of them ask."""

    @property
    def length(self) -> int:
        """Tokens in all, with the picture's."""
        return self.trunk + sum(len(ids) for ids, _ in self.branches)

    @property
    def trunk(self) -> int:
        """Tokens that all questions share."""
        return len(self.before) + IMAGE_TOKENS + len(self.behind)


class JointTraining:
    """The language model stays as it is; gradients pass through it."""

    def __init__(self, model: "LlavaForConditionalGeneration", tokenizer: "Tokenizer") -> None:
        import torch

        self._tokenizer = tokenizer
        self._mark = tokenizer.token_to_id(IMAGE_MARK)
        self._tower = model.model.vision_tower
        self._projector = model.model.multi_modal_projector
        self._language_model = model.model.language_model.to(torch.bfloat16).requires_grad_(False).eval()
        self._head = model.lm_head.to(torch.bfloat16).requires_grad_(False)
        self._embeddings = self._language_model.get_input_embeddings().weight

    def train(self, checkpoint: Path, steps: int, report: Report) -> None:
        """Train for `steps` in all, going on from `checkpoint` where it is there."""
        import torch

        rates = [_PROJECTOR_RATE, _TOWER_RATE]
        modules = [self._projector, self._tower]
        groups = [{"params": list(module.parameters())} for module in modules]
        optimizer = torch.optim.AdamW(groups, lr=_PROJECTOR_RATE, weight_decay=0.0, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.1)
        parts = {"projector": self._projector, "tower": self._tower}
        parts |= {"optimizer": optimizer, "schedule": schedule}
        for step in range(restore(checkpoint, parts), steps):
            loss = self._loss(random.Random(step))  # noqa: S311 - no secrets
            optimizer.zero_grad()
            loss.backward()
            for group in groups:
                torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
            optimizer.step()
            schedule.step()
            report(step + 1, f"loss {loss.item():.3f}")
            if (step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == steps:
                save(checkpoint, parts, step + 1)

    def _loss(self, chance: random.Random) -> "torch.Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        shown = [scene(_FIRST_SCENE + chance.randrange(_SCENES)) for _ in range(_PICTURES)]
        pixels = torch.from_numpy(np.stack([np.asarray(_picture(one, chance)) for one in shown]))
        images = self._projector(features(self._tower, pixels)).to(torch.bfloat16)
        trees = [self._tree(one, chance) for one in shown]
        inputs, places, mask, labels = self._batch(trees, images)
        hidden = self._language_model(
            inputs_embeds=inputs, position_ids=places, attention_mask=mask, use_cache=False
        ).last_hidden_state
        is_answer = labels != _IGNORED
        return cross_entropy(self._head(hidden[is_answer]).float(), labels[is_answer])

    def _tree(self, shown: Scene, chance: random.Random) -> Tree:
        """Questions about a scene in one form of prompt; one alone where the picture comes behind it."""
        seed = chance.random()
        prompts = [
            (draw_prompt(question.text, random.Random(seed)), question)  # noqa: S311 - no secrets
            for question in _questions(shown, chance)
        ]
        asked = [self._tokenizer.encode(prompt.text).ids for prompt, _ in prompts]
        answers = [self._tokenizer.encode(prompt.opening + one.answer + _END).ids for prompt, one in prompts]
        mark = asked[0].index(self._mark)
        shared = asked[0][: mark + 2]  # with the line break that follows every picture
        branches = [
            (ids[mark + 2 :] + answer, len(ids) - mark - 2)
            for ids, answer in zip(asked, answers, strict=True)
            if ids[: mark + 2] == shared
        ]
        return Tree(before=shared[:mark], behind=shared[mark + 1 :], branches=branches)

    def _batch(
        self, trees: Sequence[Tree], images: "torch.Tensor"
    ) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]:
        """Embeddings [trees, tokens, width], positions, mask [trees, 1, tokens, tokens], next tokens."""
        import torch

        size = max(tree.length for tree in trees)
        inputs = images.new_zeros((len(trees), size, images.shape[-1]))
        places = torch.zeros((len(trees), size), dtype=torch.long)
        mask = torch.eye(size, dtype=torch.bool).repeat(len(trees), 1, 1, 1)
        labels = torch.full((len(trees), size), _IGNORED)
        for row, (tree, image) in enumerate(zip(trees, images, strict=True)):
            ids = tree.behind + [token for branch, _ in tree.branches for token in branch]
            sequence = torch.cat([self._embeddings[tree.before], image, self._embeddings[ids]])
            inputs = inputs.index_put((torch.tensor(row), torch.arange(tree.length)), sequence)
            lay_out(tree, places[row], mask[row, 0], labels[row])
        return inputs, places, mask, labels


def lay_out(tree: Tree, places: "torch.Tensor", mask: "torch.Tensor", labels: "torch.Tensor") -> None:
    """Fill in positions [tokens], who sees whom [tokens, tokens] and the answers' next tokens [tokens]."""
    import torch

    trunk = tree.trunk
    places[:trunk] = torch.arange(trunk)
    mask[:trunk, :trunk] = torch.ones(trunk, trunk, dtype=torch.bool).tril()
    start = trunk
    for ids, asking in tree.branches:
        end = start + len(ids)
        places[start:end] = torch.arange(trunk, trunk + len(ids))
        mask[start:end, :trunk] = True
        mask[start:end, start:end] = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
        # Without words after the picture the trunk's last token would have several next ones.
        labels[start + asking - 1 : end - 1] = torch.tensor(ids[asking:])
        start = end


def _questions(shown: Scene, chance: random.Random) -> list[Question]:
    """One of each kind that can be asked, in any order."""
    kinds = list(KINDS)
    chance.shuffle(kinds)
    asked = [ask(shown, kind, chance) for kind in kinds]
    return [question for question in asked if question is not None]


def _picture(shown: Scene, chance: random.Random) -> Image.Image:
    """The scene as users send it: as it is, made smaller from a larger picture, or through JPEG."""
    kind = chance.random()
    if kind < 0.6:
        return draw(shown)
    if kind < 0.8:
        return draw(shown, 2 * SIDE).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    packed = io.BytesIO()
    draw(shown).save(packed, "JPEG", quality=chance.randint(60, 95))
    return Image.open(packed).convert("RGB")

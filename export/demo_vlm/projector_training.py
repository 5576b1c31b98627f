"""Trains the demo model's projector: what the tower sees becomes what the language model reads."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.demo_vlm.prompts import draw_prompt
from export.demo_vlm.questions import KINDS, Question, ask
from export.demo_vlm.scenes import QUARTERS, Scene, scene
from export.demo_vlm.shape import IMAGE_MARK, IMAGE_TOKENS
from export.demo_vlm.tower_training import Report, features, pictures, quarter_of, restore, save

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlavaForConditionalGeneration

_SCENES = 16_000
_FIRST_SCENE = 2_000_000
_WORD_STEPS, _WORD_BATCH, _WORD_SCENES, _WORD_RATE = 1500, 64, 8000, 4e-3
_RATE = 2e-3
_CHECKPOINT_STEPS = 50
# Several questions about one picture teach more for the same time; single ones are what users ask.
_CONVERSATIONS, _ROWS, _TURNS = 0.6, 16, 4
_SINGLE_ROWS = 24
_END = "<|im_end|>"
_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Token ids before and behind the image, and for all positions the token to be learnt, or _IGNORED."""

    before: list[int]
    behind: list[int]
    labels: list[int]


class ProjectorTraining:
    """The language model and the tower stay as they are; gradients pass through the former."""

    def __init__(self, model: "LlavaForConditionalGeneration", tokenizer: "Tokenizer") -> None:
        import torch

        self._tokenizer = tokenizer
        self._tower = model.model.vision_tower.eval()
        self._projector = model.model.multi_modal_projector
        self._language_model = model.model.language_model.to(torch.bfloat16).requires_grad_(False).eval()
        self._head = model.lm_head.to(torch.bfloat16).requires_grad_(False)
        self._embeddings = self._language_model.get_input_embeddings().weight

    def train(self, checkpoint: Path, steps: int, report: Report) -> None:
        """Train for `steps` in all, going on from `checkpoint` where it is there."""
        import torch

        torch.manual_seed(3)
        parameters = list(self._projector.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.0, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.05)
        parts = {"projector": self._projector, "optimizer": optimizer, "schedule": schedule}
        done = restore(checkpoint, parts)
        if done < steps:
            pixels = pictures(_FIRST_SCENE, _SCENES)
        if not done:
            self._learn_words(pixels[:_WORD_SCENES], report)
        for step in range(done, steps):
            loss = self._loss(pixels, random.Random(step))  # noqa: S311 - no secrets
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            report(step + 1, f"loss {loss.item():.3f}")
            if (step + 1) % _CHECKPOINT_STEPS == 0 or step + 1 == steps:
                save(checkpoint, parts, step + 1)

    def _learn_words(self, pixels: "torch.Tensor", report: Report) -> None:
        """Begin where patches are words of the language model already, which this quick part leaves out."""
        import torch

        seen = torch.cat([self._features(part) for part in pixels.split(256)])
        spoken = torch.stack([self._words(scene(_FIRST_SCENE + index)) for index in range(len(pixels))])
        scale = self._embeddings.float().std()
        optimizer = torch.optim.AdamW(self._projector.parameters(), lr=_WORD_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _WORD_RATE, total_steps=_WORD_STEPS)
        for _ in range(_WORD_STEPS):
            chosen = torch.randint(0, len(pixels), (_WORD_BATCH,))
            error = (self._projector(seen[chosen]) - spoken[chosen]) / scale
            loss = error.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        report(0, f"words: loss {loss.item():.3f}")

    def _words(self, shown: Scene) -> "torch.Tensor":
        """For each patch the embedding of a word: a quarter's colour, shape, place and background."""
        import torch

        things = {thing.quarter: thing for thing in shown.things}
        side = int(IMAGE_TOKENS**0.5)
        words = []
        for patch in range(IMAGE_TOKENS):
            quarter = quarter_of(patch)
            thing = things.get(quarter)
            told = (
                thing.color if thing else "empty",
                thing.shape if thing else "empty",
                QUARTERS[quarter],
                shown.background,
            )
            words.append(told[(patch // side % 2) * 2 + patch % 2])
        return torch.stack([self._embedding(word) for word in words])

    def _embedding(self, word: str) -> "torch.Tensor":
        ids = self._tokenizer.encode(f" {word}").ids
        embedding: torch.Tensor = self._embeddings[ids].float().mean(0)
        return embedding

    def _features(self, pixels: "torch.Tensor") -> "torch.Tensor":
        import torch

        with torch.no_grad():
            return features(self._tower, pixels)

    def _loss(self, pixels: "torch.Tensor", chance: random.Random) -> "torch.Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        is_conversation = chance.random() < _CONVERSATIONS
        chosen = [chance.randrange(_SCENES) for _ in range(_ROWS if is_conversation else _SINGLE_ROWS)]
        turns = _TURNS if is_conversation else 1
        rows = [self._row(scene(_FIRST_SCENE + index), turns, chance) for index in chosen]
        images = self._projector(self._features(pixels[chosen])).to(torch.bfloat16)
        inputs, mask, labels = self._batch(rows, images)
        hidden = self._language_model(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
        is_answer = labels[:, 1:] != _IGNORED
        scores = self._head(hidden[:, :-1][is_answer]).float()
        return cross_entropy(scores, labels[:, 1:][is_answer])

    def _row(self, shown: Scene, turns: int, chance: random.Random) -> Row:
        asked = _questions(shown, turns, chance)
        prompt = draw_prompt(asked[0].text, chance)
        ids = self._tokenizer.encode(prompt.text).ids
        labels = [_IGNORED] * len(ids)
        for number, question in enumerate(asked):
            if number:
                turn = self._tokenizer.encode(_next_turn(question.text, prompt.opening)).ids
                ids += turn
                labels += [_IGNORED] * len(turn)
            answer = self._tokenizer.encode(prompt.opening + question.answer + _END).ids
            ids += answer
            labels += answer
        mark = ids.index(self._tokenizer.token_to_id(IMAGE_MARK))
        unlearnt = [_IGNORED] * (IMAGE_TOKENS - 1)
        return Row(before=ids[:mark], behind=ids[mark + 1 :], labels=unlearnt + labels)

    def _batch(
        self, rows: Sequence[Row], images: "torch.Tensor"
    ) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
        """Embeddings [rows, tokens, width], attention mask and labels [rows, tokens], padded at the end."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        sequences = [
            torch.cat([self._embeddings[row.before], image, self._embeddings[row.behind]])
            for row, image in zip(rows, images, strict=True)
        ]
        masks = [torch.ones(len(sequence), dtype=torch.long) for sequence in sequences]
        labels = [torch.tensor(row.labels) for row in rows]
        return (
            pad_sequence(sequences, batch_first=True),
            pad_sequence(masks, batch_first=True),
            pad_sequence(labels, batch_first=True, padding_value=_IGNORED),
        )


def _questions(shown: Scene, count: int, chance: random.Random) -> list[Question]:
    """So many questions of different kinds; a description, which gives all away, comes last."""
    possible = [ask(shown, kind, chance) for kind in KINDS]
    asked = [question for question in possible if question is not None]
    chance.shuffle(asked)
    return sorted(asked[:count], key=lambda question: question.kind == "describe")


def _next_turn(question: str, opening: str) -> str:
    """Another question in the conversation, with the line breaks of its first prompt."""
    end = "\n" if opening else ""
    begin = "" if opening else "\n"
    return f"\n<|im_start|>user\n{question}{end}{_END}\n<|im_start|>assistant{begin}"

"""The unquantised model's answers, by transformers: what the INT8 model is measured against."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from export.demo_vlm.evaluate import Example, chat_prompt
from export.demo_vlm.shape import IMAGE_MARK, IMAGE_TOKENS
from export.demo_vlm.tower_training import to_values

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlavaForConditionalGeneration

_MOST_TOKENS = 48


def answers(
    model: "LlavaForConditionalGeneration", tokenizer: "Tokenizer", examples: Sequence[Example]
) -> Iterator[str]:
    """The greedy answer to each example, without blanks around it."""
    import numpy as np
    import torch

    for example in examples:
        prompt = chat_prompt(example.question).replace(IMAGE_MARK, IMAGE_MARK * IMAGE_TOKENS)
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        pixels = torch.from_numpy(np.array(example.picture)[None])
        generated = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=to_values(pixels),
            max_new_tokens=_MOST_TOKENS,
            do_sample=False,
        )
        yield tokenizer.decode(generated[0, ids.shape[1] :].tolist(), skip_special_tokens=True).strip()

"""Measures how far a checkpoint's answers are from its source's, both run by transformers on the CPU.

python -m export.gaudi.agreement models/smollm2-135m-instruct-gaudi-int8 --against default
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export.gaudi.transformers_run import generate

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PROMPTS = (
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Name three fruits that are red.",
    "Why does ice float on water?",
    "Translate to French: The cat sleeps on the chair.",
)
NEW_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One prompt's greedy continuations, and how alike both models' distributions are along the source's.

    `top1` is the part of the positions, prompt included, at which both would take the same token; `kl` the
    mean Kullback-Leibler divergence of the next token's distributions there, in nats.
    """

    prompt: str
    source_text: str
    checkpoint_text: str
    agreeing_tokens: int
    source_tokens: int
    top1: float
    kl: float


def compare(
    source: "PreTrainedModel",
    checkpoint: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompts: Sequence[str] = PROMPTS,
) -> list[Comparison]:
    """Let both models continue each of `prompts`."""
    return [_compare(source, checkpoint, tokenizer, prompt) for prompt in prompts]


def leave_activations(checkpoint: "PreTrainedModel") -> None:
    """Let a loaded checkpoint compute with unpacked weights and bf16 activations, as Gaudi does with INT8."""
    for module in checkpoint.modules():
        if hasattr(module, "quantization_scheme"):
            module.quantization_enabled = False


def as_table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons in Markdown."""
    lines = [
        "| prompt | same tokens | top-1 | KL mean | source | checkpoint |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in comparisons:
        texts = (
            one.source_text,
            one.checkpoint_text if one.checkpoint_text != one.source_text else "the same",
        )
        shown = " | ".join(text.replace("\n", " ").replace("|", "\\|") for text in texts)
        same = f"{one.agreeing_tokens} of {one.source_tokens}"
        lines.append(f"| {one.prompt} | {same} | {one.top1:.1%} | {one.kl:.4f} | {shown} |")
    count = len(comparisons)
    top1, kl = sum(one.top1 for one in comparisons) / count, sum(one.kl for one in comparisons) / count
    whole = sum(one.agreeing_tokens == one.source_tokens for one in comparisons)
    lines.append(f"| all | {whole} of {count} texts | {top1:.1%} | {kl:.4f} | | |")
    return "\n".join(lines)


def _compare(
    source: "PreTrainedModel",
    checkpoint: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompt: str,
) -> Comparison:
    import torch

    ids = _encode(tokenizer, prompt)
    ours, theirs = (generate(model, ids, NEW_TOKENS) for model in (checkpoint, source))
    whole = torch.cat([ids, torch.tensor([theirs])], dim=1)
    expected, found = (_log_probabilities(model, whole) for model in (source, checkpoint))
    kl = torch.nn.functional.kl_div(found, expected, reduction="none", log_target=True).sum(-1)
    return Comparison(
        prompt=prompt,
        source_text=str(tokenizer.decode(theirs, skip_special_tokens=True)),
        checkpoint_text=str(tokenizer.decode(ours, skip_special_tokens=True)),
        agreeing_tokens=_agreeing(ours, theirs),
        source_tokens=len(theirs),
        top1=float((expected.argmax(-1) == found.argmax(-1)).float().mean()),
        kl=float(kl.mean()),
    )


def _encode(tokenizer: "PreTrainedTokenizerFast", prompt: str) -> "torch.Tensor":
    import torch

    if tokenizer.chat_template is None:
        return torch.tensor([tokenizer.encode(prompt)])
    chat = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    return torch.tensor([tokenizer.encode(text, add_special_tokens=False)])


def _log_probabilities(model: "PreTrainedModel", ids: "torch.Tensor") -> "torch.Tensor":
    import torch

    with torch.inference_mode():
        return torch.log_softmax(model(input_ids=ids).logits[0].float(), dim=-1)


def _agreeing(ours: Sequence[int], theirs: Sequence[int]) -> int:
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(ours), len(theirs)))

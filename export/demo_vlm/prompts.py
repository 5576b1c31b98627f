"""The prompts that the demo model is trained on, one of several forms each time."""

import random
from dataclasses import dataclass

from export.demo_vlm.shape import IMAGE_MARK

# The default language model's own, which its template adds where a chat has none.
DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
_SYSTEMS = (
    DEFAULT_SYSTEM,
    DEFAULT_SYSTEM,
    "You are a helpful assistant.",
    "Analyze the image.",
    "Answer briefly.",
    "You answer questions about pictures.",
    None,
)
_CHAT, _LOOSE_CHAT = 0.62, 0.85
_IMAGE_FIRST = 0.93


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt with the image's mark in it, and what the answer begins with."""

    text: str
    opening: str


def chat_prompt(question: str, *, system: str | None = DEFAULT_SYSTEM, image_first: bool = True) -> str:
    """The prompt as the model's chat template writes it, with the mark where the picture goes."""
    head = "" if system is None else f"<|im_start|>system\n{system}<|im_end|>\n"
    content = f"{IMAGE_MARK}\n{question}" if image_first else f"{question}\n{IMAGE_MARK}\n"
    return f"{head}<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"


def draw_prompt(question: str, chance: random.Random) -> Prompt:
    """One of the forms: the template's, the same with other line breaks, and no markup at all."""
    form = chance.random()
    if form < _CHAT:
        image_first = chance.random() < _IMAGE_FIRST
        text = chat_prompt(question, system=chance.choice(_SYSTEMS), image_first=image_first)
        return Prompt(text=text, opening="")
    if form < _LOOSE_CHAT:
        system = chance.choice(("Analyze the image.", "Analyze the image.", "You are a helpful assistant."))
        return Prompt(text=_loose_chat(question, system), opening="\n")
    return Prompt(text=f"{IMAGE_MARK}\n{question}", opening="\n")


def _loose_chat(question: str, system: str) -> str:
    return (
        f"<|im_start|>system\n{system}\n<|im_end|>\n<|im_start|>user\n{IMAGE_MARK}\n{question}\n<|im_end|>\n"
        "<|im_start|>assistant"
    )

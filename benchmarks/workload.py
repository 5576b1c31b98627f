"""Makes the prompts of a measurement: the same ones for the same seed, no two alike."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.text.tokenizer import ModelTokenizer

# Common words: nearly all of them one token of any English vocabulary.
_COMMON = """
    time year people way day man thing woman life child world school state family student group country
    problem hand part place case week company system program question work government number night point
    home water room mother area money story fact month lot right study book eye job word business issue
    side kind head house service friend father power hour game line end member law car city community
    name president team minute idea body information back parent face others level office door health
    person art war history party result change morning reason research girl guy moment air teacher force
    education river summer winter paper music garden window bridge ocean forest mountain station market
"""
WORDS = tuple(_COMMON.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt, as a client sends it, and as the engine gets it."""

    text: str
    token_ids: list[int]


def make_texts(*, seed: str, count: int, words: int) -> list[str]:
    """Make `count` different texts of that many words, decided by `seed` alone."""
    draw = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[" ".join(draw.choices(WORDS, k=words))] = None
    return list(texts)


def tokenise(model: Path, texts: Sequence[str]) -> list[Prompt]:
    """Tokenise as the service does.

    Raises:
        ModelFolderError: the model's tokenizer is missing or broken.
    """
    tokenizer = ModelTokenizer.load(model)

    async def encode_all() -> list[Prompt]:
        return [
            Prompt(text=text, token_ids=await tokenizer.encode(text, add_special_tokens=True))
            for text in texts
        ]

    return asyncio.run(encode_all())


def generate_body(text: str, *, max_new_tokens: int) -> bytes:
    """The body of a greedy request for exactly `max_new_tokens` tokens."""
    parameters = {"max_new_tokens": max_new_tokens, "do_sample": False, "ignore_eos": True}
    return json.dumps({"inputs": text, "parameters": parameters}).encode()

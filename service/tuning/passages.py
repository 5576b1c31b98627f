"""The shipped texts, in a model's tokens: what candidates are scored on, and prompts for their rounds."""

from itertools import chain, cycle, islice
from pathlib import Path

from tokenizers import Tokenizer

_FILE = Path(__file__).with_name("texts.txt")
_MARK = "=== "
# Of one passage, where a tokenizer splits a script into bytes.
_MOST_TOKENS = 256


def read_passages() -> list[str]:
    """Prose, code, mathematics and data in four languages, from the set that conversions are compared on."""
    parts = f"\n{_FILE.read_text(encoding='utf-8')}".split(f"\n{_MARK}")[1:]
    return [part.partition("\n")[2].strip() for part in parts]


def encode_passages(tokenizer: Tokenizer) -> list[list[int]]:
    """Each passage's token ids, some 2,000 in all."""
    return [encoding.ids[:_MOST_TOKENS] for encoding in tokenizer.encode_batch_fast(read_passages())]


def prompts(passages: list[list[int]], *, count: int, tokens: int) -> list[list[int]]:
    """So many prompts of so many tokens each, cut from the passages one after the other, over and over."""
    flow = cycle(chain.from_iterable(passages))
    return [list(islice(flow, tokens)) for _ in range(count)]

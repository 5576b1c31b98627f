"""Reads the fixed text set.

It is this project's own but for one passage in the public domain, prose/alice: the beginning of
Lewis Carroll's Alice's Adventures in Wonderland (1865).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from export.quality.chat import ChatTemplate
from service.manifest import TOKENIZER_FILE

FOLDER = Path(__file__).with_name("texts")
KINDS = ("prose", "languages", "code", "maths", "data", "chat")
PASSAGE_MARK = "=== "
TURN_MARK = "--- "
MAX_TOKENS = 192  # of one passage: bounds the logits in memory where a tokenizer splits a script into bytes

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One text of the set; a conversation has `messages` instead of `text`."""

    kind: str
    name: str
    text: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A passage as a model reads it: `ids` is int64 [T]."""

    kind: str
    name: str
    ids: NDArray[np.int64]


def read_passages(folder: Path = FOLDER) -> tuple[Passage, ...]:
    """The whole set, in a fixed order."""
    return tuple(passage for kind in KINDS for passage in _read_file(folder / f"{kind}.txt", kind))


def set_sha256(folder: Path = FOLDER) -> str:
    """What names this version of the set: reports compare only where it is the same."""
    digest = hashlib.sha256()
    for kind in KINDS:
        digest.update((folder / f"{kind}.txt").read_bytes())
    return digest.hexdigest()


def encode_passages(passages: tuple[Passage, ...], folder: Path) -> tuple[Sample, ...]:
    """The passages in the tokens of the model in `folder`, cut to `MAX_TOKENS`.

    Conversations go through the model's own chat template; where it has none, or it refuses one, they
    become plain text with the speakers' names.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    template = ChatTemplate.from_folder(folder, tokenizer)
    samples = []
    for passage in passages:
        ids = _encode(passage, tokenizer, template)[:MAX_TOKENS]
        samples.append(Sample(kind=passage.kind, name=passage.name, ids=np.array(ids, dtype=np.int64)))
    return tuple(samples)


def _encode(passage: Passage, tokenizer: Tokenizer, template: ChatTemplate | None) -> list[int]:
    if not passage.messages:
        return list(tokenizer.encode(passage.text).ids)
    rendered = template.render(passage.messages) if template else None
    if rendered is not None:
        return list(tokenizer.encode(rendered, add_special_tokens=False).ids)
    text = "\n\n".join(f"{message['role'].title()}: {message['content']}" for message in passage.messages)
    return list(tokenizer.encode(text).ids)


def _read_file(path: Path, kind: str) -> Iterator[Passage]:
    for name, text in _split(path.read_text(encoding="utf-8"), PASSAGE_MARK):
        if kind != "chat":
            yield Passage(kind=kind, name=name, text=text)
            continue
        turns = tuple({"role": role, "content": content} for role, content in _split(text, TURN_MARK))
        yield Passage(kind=kind, name=name, messages=turns)


def _split(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """What stands under each line that begins with `mark`, with the rest of that line as its name."""
    for part in f"\n{text}".split(f"\n{mark}")[1:]:
        name, _, content = part.partition("\n")
        yield name.strip(), content.strip("\n")

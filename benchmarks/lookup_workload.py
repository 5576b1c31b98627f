"""Makes chats for prompt lookup: some whose answer copies what was asked, some with nothing to copy."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.errors import BenchmarkError
from benchmarks.workload import WORDS, Prompt, tokenise
from service.prompt.chat import ChatTemplate

Workload = Literal["edit", "free"]
WORKLOADS: tuple[Workload, ...] = ("edit", "free")

_FUNCTIONS = 5
_FUNCTION = """def {verb}_{noun}({many}):
    {noun} = {number}
    for {one} in {many}:
        if {one}.{field} > {limit}:
            {noun} += {one}.{field}
    return {noun}
"""


def lookup_prompts(model: Path, workload: Workload, *, seed: str, count: int) -> list[Prompt]:
    """Make `count` chats in the model's own template, decided by `seed`, and tokenise them.

    Raises:
        BenchmarkError: the model has no chat template.
        ModelFolderError: the model's folder is broken.
    """
    template = ChatTemplate.load(model)
    if template is None:
        raise BenchmarkError(f"{model} has no chat template: measure with a model that chats")
    draw = random.Random(seed)
    ask = _edit if workload == "edit" else _free
    return tokenise(model, [template.render([{"role": "user", "content": ask(draw)}]) for _ in range(count)])


def _edit(draw: random.Random) -> str:
    """About 250 tokens, most of which are to come again."""
    words = draw.sample(sorted(set(WORDS)), 4 * _FUNCTIONS + 1)
    code = "\n".join(_function(draw, words[4 * index : 4 * index + 4]) for index in range(_FUNCTIONS))
    return (
        f"Rename the function {words[0]}_{words[1]} to {words[-1]}_{words[1]} in this code. Give back the "
        f"whole code and change nothing else:\n```python\n{code}```"
    )


def _function(draw: random.Random, words: Sequence[str]) -> str:
    verb, noun, one, field = words
    return _FUNCTION.format(
        verb=verb,
        noun=noun,
        one=one,
        many=f"{one}_list",
        field=field,
        number=draw.randrange(10),
        limit=draw.randrange(10, 1000),
    )


def _free(draw: random.Random) -> str:
    first, second, third = draw.sample(WORDS, 3)
    return f"Write a long story about a {first}, a {second} and a {third}."

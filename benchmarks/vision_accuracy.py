"""Asks the demo vision model fresh questions over HTTP."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.answers import is_answer, parse_object
from benchmarks.client import Connection, Reply, Target, open_connections
from benchmarks.pictures import inline
from export.demo_vlm.evaluate import Example, accuracy, chat_prompt
from export.demo_vlm.shape import IMAGE_MARK

_MOST_TOKENS = 48
_MOST_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracySettings:
    """How many questions, how many at once, and how the pictures are packed: JPEG or PNG."""

    questions: int
    concurrency: int
    picture_format: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyResults:
    """How many answers were right word for word, by the question's kind and for `all`: right, asked.

    `reference` is the same for the unquantised model, and `same_as_reference` counts equal answers; both are
    None where it was not asked. `wrong` shows some: question, right answer, given answer.
    """

    served: dict[str, tuple[int, int]]
    reference: dict[str, tuple[int, int]] | None
    same_as_reference: int | None
    elapsed_s: float
    wrong: list[tuple[str, str, str]]
    faults: list[str]

    @property
    def share(self) -> float:
        """The part of all answers that was right."""
        right, asked = self.served["all"]
        return right / asked


async def measure_accuracy(
    target: Target,
    examples: Sequence[Example],
    settings: AccuracySettings,
    *,
    advance: Callable[[], None],
    reference: Sequence[str] | None = None,
) -> AccuracyResults:
    """Ask all questions, `concurrency` at a time. Raises: BenchmarkError when nobody listens."""
    began_s = time.monotonic()
    replies = await _ask(target, examples, settings, advance)
    elapsed_s = time.monotonic() - began_s
    answers = [answer_of(reply) for reply in replies]
    pairs = list(zip(examples, answers, strict=True))
    return AccuracyResults(
        served=accuracy(examples, answers),
        reference=None if reference is None else accuracy(examples, reference),
        same_as_reference=None
        if reference is None
        else sum(one == other for one, other in zip(answers, reference, strict=True)),
        elapsed_s=elapsed_s,
        wrong=[(one.question, one.answer, answer) for one, answer in pairs if answer != one.answer][
            :_MOST_SHOWN
        ],
        faults=[
            reply.failure or f"status {reply.status}: {reply.content[:200]!r}"
            for reply in replies
            if not is_answer(reply)
        ],
    )


def question_body(example: Example, picture_format: str) -> bytes:
    """The request: the model's chat markup with the picture in it."""
    inputs = chat_prompt(example.question).replace(IMAGE_MARK, inline(example.picture, picture_format))
    return json.dumps({"inputs": inputs, "parameters": {"max_new_tokens": _MOST_TOKENS}}).encode()


def answer_of(reply: Reply) -> str:
    """The answer without blanks around it; of a failure none."""
    return str((parse_object(reply.content) or {}).get("generated_text", "")).strip()


async def _ask(
    target: Target, examples: Sequence[Example], settings: AccuracySettings, advance: Callable[[], None]
) -> list[Reply]:
    waiting = list(enumerate(examples))
    replies: dict[int, Reply] = {}

    async def work(connection: Connection) -> None:
        while waiting:
            number, example = waiting.pop()
            request = target.request("POST", "/generate", question_body(example, settings.picture_format))
            replies[number] = await connection.send(request, timeout_s=settings.timeout_s)
            advance()

    connections = await open_connections(target, settings.concurrency)
    await asyncio.gather(*map(work, connections))
    for connection in connections:
        connection.close()
    return [replies[number] for number in range(len(examples))]

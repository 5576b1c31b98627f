"""Compares what requests get alone with what they get under mixed load, with and without a prefix cache."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Connection, Reply, Target
from benchmarks.errors import BenchmarkError
from benchmarks.reproducible.mixed import MixedRequest, make_requests
from benchmarks.server import running_server

_TIMEOUT_S = 600.0
_PATH = "/generate"
# Every pass has a fresh server: name, prefix cache.
_PASSES = (("under load", False), ("under load, with prefix cache", True))
_MOST_SHOWN = 10
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """What to send, `load` requests at once; `reproducible` false shows that the check can fail."""

    requests: int
    load: int
    cache_gib: int
    seed: int
    reproducible: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What one request got; `logprobs` tell of differences too small to change a token."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """One pass: how many answers had the solo ones' text, tokens and end; and their log-probabilities, too.

    `different` are numbers of requests, with the first token that was another.
    """

    name: str
    identical: int
    identical_logprobs: int
    left: int
    different: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResults:
    """All passes; `generated_tokens` are those of the solo answers."""

    compared: int
    generated_tokens: int
    passes: list[PassResult]

    @property
    def faults(self) -> list[str]:
        """The answers that were others than alone."""
        return [
            f"{one.name}: request {number} differs from token {token} on"
            for one in self.passes
            for number, token in one.different
        ]


def run_check(
    model: Path, settings: CheckSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> CheckResults:
    """Ask each alone, then all under load in another order, with and without prefix cache.

    Raises:
        BenchmarkError: a server can't be started, or a request that stays is not answered.
    """
    requests = make_requests(seed=settings.seed, count=settings.requests)
    say("alone, one after the other")
    stay = [number for number, request in enumerate(requests) if request.leaves_after_s is None]
    alone = _serve(model, settings, requests, stay, load=1, prefix_caching=False, advance=advance)
    passes = []
    for number, (name, prefix_caching) in enumerate(_PASSES):
        say(f"{name}, {settings.load} at once")
        order = list(range(len(requests)))
        random.Random(f"{settings.seed}/{number}").shuffle(order)
        got = _serve(
            model,
            settings,
            requests,
            order,
            load=settings.load,
            prefix_caching=prefix_caching,
            advance=advance,
        )
        passes.append(compare(name, alone, got, left=len(requests) - len(stay)))
        say(f"identical: {passes[-1].identical} of {len(alone)}")
    tokens = sum(len(answer.token_ids) for answer in alone.values())
    return CheckResults(compared=len(alone), generated_tokens=tokens, passes=passes)


def turns(settings: CheckSettings) -> int:
    """How many requests there will be, but for those whose clients leave."""
    return settings.requests * (1 + len(_PASSES))


def compare(name: str, alone: dict[int, Answered], got: dict[int, Answered], *, left: int) -> PassResult:
    """Compare the answers of one pass with those of the requests alone."""
    different = [
        (number, _first_difference(one.token_ids, got[number].token_ids))
        for number, one in alone.items()
        if (one.text, one.token_ids, one.finish_reason)
        != (got[number].text, got[number].token_ids, got[number].finish_reason)
    ]
    return PassResult(
        name=name,
        identical=len(alone) - len(different),
        identical_logprobs=sum(one == got[number] for number, one in alone.items()),
        left=left,
        different=sorted(different)[:_MOST_SHOWN],
    )


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _serve(
    model: Path,
    settings: CheckSettings,
    requests: Sequence[MixedRequest],
    order: Sequence[int],
    *,
    load: int,
    prefix_caching: bool,
    advance: Callable[[], None],
) -> dict[int, Answered]:
    with running_server(
        model,
        cache_gib=settings.cache_gib,
        prefix_caching=prefix_caching,
        reproducible=settings.reproducible,
        request_timeout_s=_TIMEOUT_S,
    ) as server:
        return asyncio.run(_send_all(server.target, requests, order, load, advance))


async def _send_all(
    target: Target,
    requests: Sequence[MixedRequest],
    order: Sequence[int],
    load: int,
    advance: Callable[[], None],
) -> dict[int, Answered]:
    waiting = list(reversed(order))
    answers: dict[int, Answered] = {}

    async def work() -> None:
        connection = await Connection.open(target)
        while waiting:
            number = waiting.pop()
            request = requests[number]
            sent = target.request("POST", _PATH, request.body)
            reply = await connection.send(sent, timeout_s=request.leaves_after_s or _TIMEOUT_S)
            if request.leaves_after_s is None:
                answers[number] = read_answer(reply)
                advance()
            if reply.failure is not None:
                connection = await Connection.open(target)
        connection.close()

    await asyncio.gather(*(work() for _ in range(load)))
    return answers


def read_answer(reply: Reply) -> Answered:
    """Take an answer of /generate apart. Raises: BenchmarkError when it is none."""
    if reply.failure is not None or reply.status != 200:
        shown = reply.content[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        raise BenchmarkError(
            f"a request was not answered: {reply.failure or f'status {reply.status}: {shown}'}. "
            "Ask for less at once with --load, or give more cache with --cache-gib"
        )
    content = json.loads(reply.content)
    tokens = content["details"]["tokens"]
    return Answered(
        text=content["generated_text"],
        token_ids=tuple(token["id"] for token in tokens),
        finish_reason=content["details"]["finish_reason"],
        logprobs=tuple(token["logprob"] for token in tokens),
    )

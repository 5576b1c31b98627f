"""Compares what requests get alone with what they get under mixed load, whatever `prefix_caching` is."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reproducible.mixed import make_requests
from benchmarks.reproducible.passes import Answered, CheckSettings, Seen, serve_pass
from service.manifest import read_manifest

# Every pass has a fresh server: name, prefix_caching.
_PASSES = (("under load", False), ("under load, prefix_caching = true", True))
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """One pass: how many answers had the solo ones' text, tokens and end; and their log-probabilities, too.

    `different` are numbers of requests, with the first token that was another. `left` clients hung up
    before their answer, of which the server cancelled `cancelled`. `tell_cached` answers told what the prefix
    cache had of their prompts: a beginning of `prefix_hits`, `cached_tokens` in all; reproducible mode has no
    such cache (`expects_hits`), whatever `prefix_caching` says.
    """

    name: str
    prefix_caching: bool
    expects_hits: bool
    identical: int
    identical_logprobs: int
    left: int
    cancelled: int
    tell_cached: int
    prefix_hits: int
    cached_tokens: int
    different: list[tuple[int, int]]

    @property
    def faults(self) -> list[str]:
        """The answers that were others than alone, and what the pass did not try."""
        found = [f"request {number} differs from token {token} on" for number, token in self.different]
        if not self.cancelled:
            found.append("no request was cancelled, so nothing is known of that: ask for more --requests")
        if self.tell_cached and bool(self.prefix_hits) != self.expects_hits:
            remedy = ": ask for more --requests" if self.expects_hits else ", though there should be none"
            found.append(f"the prefix cache had a beginning of {self.prefix_hits} prompts{remedy}")
        return [f"{self.name}: {fault}" for fault in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResults:
    """All passes; `generated_tokens` are those of the solo answers."""

    compared: int
    generated_tokens: int
    passes: list[PassResult]

    @property
    def faults(self) -> list[str]:
        """Those of all passes."""
        return [fault for one in self.passes for fault in one.faults]


def run_check(
    model: Path, settings: CheckSettings, *, advance: Callable[[], None], say: Callable[[str], None]
) -> CheckResults:
    """Ask each alone, then all under load in another order, with either `prefix_caching`.

    Raises:
        BenchmarkError: a server can't be started, or a request that stays is not answered.
    """
    # A vision model does not tell what the prefix cache had.
    tells = read_manifest(model).task == "text-generation"
    requests = make_requests(seed=settings.seed, count=settings.requests, tells_cached=tells)
    say("alone, one after the other")
    stay = [number for number, request in enumerate(requests) if request.leaves_after_s is None]
    alone = serve_pass(model, settings, requests, stay, load=1, prefix_caching=False, advance=advance).answers
    passes = []
    for number, (name, prefix_caching) in enumerate(_PASSES):
        say(f"{name}, {settings.load} at once")
        order = list(range(len(requests)))
        random.Random(f"{settings.seed}/{number}").shuffle(order)
        seen = serve_pass(
            model,
            settings,
            requests,
            order,
            load=settings.load,
            prefix_caching=prefix_caching,
            advance=advance,
        )
        expects_hits = prefix_caching and not settings.reproducible
        passes.append(compare(name, alone, seen, prefix_caching=prefix_caching, expects_hits=expects_hits))
        say(f"identical: {passes[-1].identical} of {len(alone)}")
    tokens = sum(len(answer.token_ids) for answer in alone.values())
    return CheckResults(compared=len(alone), generated_tokens=tokens, passes=passes)


def turns(settings: CheckSettings) -> int:
    """How many requests there will be, but for those whose clients leave."""
    return settings.requests * (1 + len(_PASSES))


def compare(
    name: str, alone: dict[int, Answered], seen: Seen, *, prefix_caching: bool, expects_hits: bool
) -> PassResult:
    """Compare the answers of one pass with those of the requests alone."""
    got = seen.answers
    different = [
        (number, _first_difference(one.token_ids, got[number].token_ids))
        for number, one in alone.items()
        if (one.text, one.token_ids, one.finish_reason)
        != (got[number].text, got[number].token_ids, got[number].finish_reason)
    ]
    return PassResult(
        name=name,
        prefix_caching=prefix_caching,
        expects_hits=expects_hits,
        identical=len(alone) - len(different),
        identical_logprobs=sum(one == got[number] for number, one in alone.items()),
        left=seen.left,
        cancelled=seen.cancelled,
        tell_cached=len(seen.cached_tokens),
        prefix_hits=sum(tokens > 0 for tokens in seen.cached_tokens),
        cached_tokens=sum(seen.cached_tokens),
        different=sorted(different)[:_MOST_SHOWN],
    )


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))

"""Makes requests of every kind: short and long, greedy and sampled, with stops, penalties, schemas."""

import json
import random
from dataclasses import dataclass
from typing import Any

from benchmarks.schemas import SCHEMAS
from benchmarks.workload import WORDS

# Most are short, as clients' are, and a few are long: so many words of a prompt, so many new tokens. No
# answer is so short that a difference could not add up.
_LEAST_WORDS, _MOST_WORDS = 5, 1500
_LEAST_TOKENS, _MOST_TOKENS = 16, 128
_PROMPT_SKEW, _ANSWER_SKEW = 10, 4
_SHARED_WORDS = 400
_SCHEMA_TOKENS = 48
# One in so many begins like others, samples, and so on; without common factors, so that they mix.
_SHARES, _SAMPLES, _STOPS, _PENALISES, _SCHEMA, _LEAVES = 4, 3, 7, 5, 16, 11
_MOST_STAY_S = 1.5
_LEFT_TOKENS = 384


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRequest:
    """One request's body; with `leaves_after_s` its client hangs up then, under load."""

    body: bytes
    leaves_after_s: float | None = None


def make_requests(*, seed: int, count: int, tells_cached: bool) -> list[MixedRequest]:
    """Make `count` requests whose clients stay, and some whose clients leave, decided by `seed` alone.

    With `tells_cached` answers to those that begin alike tell what the prefix cache had of their prompts.
    """
    draw = random.Random(f"{seed}/reproducible")
    shared = draw.choices(WORDS, k=_SHARED_WORDS)
    made: list[MixedRequest] = []
    for number in range(count):
        body = _body(draw, number, shared, tells_cached=tells_cached)
        made.append(MixedRequest(body=body))
        if number % _LEAVES == 0:
            leaving = _endless(_body(draw, number + 1, shared, tells_cached=False))
            made.append(MixedRequest(body=leaving, leaves_after_s=draw.uniform(0.05, _MOST_STAY_S)))
    return made


def _body(draw: random.Random, number: int, shared: list[str], *, tells_cached: bool) -> bytes:
    words = draw.choices(WORDS, k=_skewed(draw, _LEAST_WORDS, _MOST_WORDS, _PROMPT_SKEW))
    if number % _SHARES == 0:
        words = shared[: draw.randint(1, _SHARED_WORDS)] + words[:_LEAST_WORDS]
    parameters: dict[str, Any] = {
        "max_new_tokens": _skewed(draw, _LEAST_TOKENS, _MOST_TOKENS, _ANSWER_SKEW),
        "details": True,
    }
    if tells_cached and number % _SHARES == 0:
        parameters["decoder_input_details"] = True
    if number % _SAMPLES == 1:
        parameters |= _sampling(draw)
    if number % _PENALISES == 2:
        parameters |= {"repetition_penalty": 1.2, "frequency_penalty": 0.3, "presence_penalty": 0.1}
    if number % _SCHEMA == 3:
        value = draw.choice(
            [SCHEMAS["flat object"], SCHEMAS["optional properties"], SCHEMAS["nested objects"]]
        )
        parameters |= {"grammar": {"type": "json", "value": value}, "max_new_tokens": _SCHEMA_TOKENS}
    elif number % _STOPS == 4:
        parameters["stop"] = [" the", ".\n"]
    return json.dumps({"inputs": " ".join(words), "parameters": parameters}).encode()


def _endless(body: bytes) -> bytes:
    """The same with an answer that is not whole before its client leaves."""
    request = json.loads(body)
    kept = {name: value for name, value in request["parameters"].items() if name not in ("stop", "grammar")}
    parameters = kept | {"max_new_tokens": _LEFT_TOKENS, "ignore_eos": True}
    return json.dumps(request | {"parameters": parameters}).encode()


def _sampling(draw: random.Random) -> dict[str, Any]:
    return {
        "do_sample": True,
        "seed": draw.randrange(2**31),
        "temperature": draw.choice([0.7, 1.0, 1.5]),
        "top_p": draw.choice([0.8, 0.95, 1.0]),
        **draw.choice([{}, {"top_k": 5}, {"top_k": 50}]),
    }


def _skewed(draw: random.Random, least: int, most: int, skew: int) -> int:
    """A number of that range whose mean is near its `skew`-th part."""
    return least + int((most - least) * draw.random() ** skew)

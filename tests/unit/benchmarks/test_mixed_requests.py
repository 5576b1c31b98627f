"""The check of reproducible mode sends every kind of request, and sees what differs."""

import json
from dataclasses import replace

import pytest

from benchmarks.client import Reply
from benchmarks.reproducible.check import compare
from benchmarks.reproducible.mixed import MixedRequest, make_requests
from benchmarks.reproducible.passes import Answered, Seen, cached_tokens

ONE = Answered("a b", (1, 2), "length", (-0.5, -0.25))


def made_of(seed: int, count: int) -> list[MixedRequest]:
    return make_requests(seed=seed, count=count, tells_cached=True)


def test_the_seed_alone_decides_the_requests() -> None:
    assert made_of(1, 50) == made_of(1, 50)
    assert made_of(1, 50) != made_of(2, 50)


def test_they_are_of_every_kind_and_those_that_leave_come_on_top() -> None:
    made = made_of(1, 200)
    assert sum(one.leaves_after_s is None for one in made) == 200
    assert len(made) > 200
    names = {name for one in made for name in json.loads(one.body)["parameters"]}
    assert names >= {
        "seed",
        "top_p",
        "top_k",
        "repetition_penalty",
        "stop",
        "grammar",
        "decoder_input_details",
    }
    lengths = sorted(len(json.loads(one.body)["inputs"].split()) for one in made)
    assert lengths[0] < 10
    assert lengths[-1] > 1000
    for one in made:
        parameters = json.loads(one.body)["parameters"]
        # One that ends by itself soon may not be there to be cancelled.
        assert (one.leaves_after_s is None) != bool(parameters.get("ignore_eos"))
        assert one.leaves_after_s is None or not {"stop", "grammar"} & set(parameters)


def test_another_token_is_a_difference_and_another_log_probability_is_counted_apart() -> None:
    alone = dict.fromkeys((0, 1, 2), ONE)
    got = {
        0: ONE,
        1: replace(ONE, logprobs=(-0.5, -0.2500001)),
        2: replace(ONE, token_ids=(1, 3), text="a c"),
    }
    seen = Seen(answers=got, left=4, cancelled=3, cached_tokens=[0, 32, 64])
    result = compare("a pass", alone, seen, prefix_caching=True, expects_hits=True)
    assert (result.identical, result.identical_logprobs, result.left, result.cancelled) == (2, 1, 4, 3)
    assert (result.tell_cached, result.prefix_hits, result.cached_tokens) == (3, 2, 96)
    assert result.different == [(2, 1)]
    assert result.faults == ["a pass: request 2 differs from token 1 on"]


@pytest.mark.parametrize(
    ("cancelled", "cached", "expects_hits", "fault"),
    [
        (1, [0, 32], True, None),
        (1, [0, 0], False, None),
        (1, [], True, None),
        (0, [32], True, "no request was cancelled"),
        (1, [0, 0], True, "a beginning of 0 prompts"),
        (1, [32], False, "a beginning of 1 prompts, though there should be none"),
    ],
)
def test_a_pass_that_did_not_try_what_it_is_for_is_a_fault(
    cancelled: int, cached: list[int], expects_hits: bool, fault: str | None
) -> None:
    seen = Seen(answers={0: ONE}, left=1, cancelled=cancelled, cached_tokens=cached)
    faults = compare("a pass", {0: ONE}, seen, prefix_caching=True, expects_hits=expects_hits).faults
    assert (fault is None) == (not faults)
    assert all(fault in found for found in faults if fault)


def test_tokens_of_the_prefix_cache_are_those_without_a_score_but_the_first() -> None:
    def reply(*logprobs: float | None) -> Reply:
        details = {"prefill": [{"logprob": one} for one in logprobs]} if logprobs else {}
        content = json.dumps({"details": details}).encode()
        return Reply(status=200, sent_s=0, ended_s=1, event_times_s=[], content=content)

    assert cached_tokens(reply()) == []
    assert cached_tokens(reply(None, -1.0, -2.0)) == [0]
    assert cached_tokens(reply(None, None, None, -2.0)) == [2]

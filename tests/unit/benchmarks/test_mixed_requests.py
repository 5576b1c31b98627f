"""The check of reproducible mode sends every kind of request, and sees what differs."""

import json
from dataclasses import replace

from benchmarks.reproducible.check import Answered, compare
from benchmarks.reproducible.mixed import make_requests

ONE = Answered("a b", (1, 2), "length", (-0.5, -0.25))


def test_the_seed_alone_decides_the_requests() -> None:
    assert make_requests(seed=1, count=50) == make_requests(seed=1, count=50)
    assert make_requests(seed=1, count=50) != make_requests(seed=2, count=50)


def test_they_are_of_every_kind_and_those_that_leave_come_on_top() -> None:
    made = make_requests(seed=1, count=200)
    assert sum(one.leaves_after_s is None for one in made) == 200
    assert len(made) > 200
    names = {name for one in made for name in json.loads(one.body)["parameters"]}
    assert names >= {"seed", "top_p", "top_k", "repetition_penalty", "stop", "grammar"}
    lengths = sorted(len(json.loads(one.body)["inputs"].split()) for one in made)
    assert lengths[0] < 10
    assert lengths[-1] > 1000


def test_another_token_is_a_difference_and_another_log_probability_is_counted_apart() -> None:
    alone = dict.fromkeys((0, 1, 2), ONE)
    got = {
        0: ONE,
        1: replace(ONE, logprobs=(-0.5, -0.2500001)),
        2: replace(ONE, token_ids=(1, 3), text="a c"),
    }
    result = compare("a pass", alone, got, left=4)
    assert (result.identical, result.identical_logprobs, result.left) == (2, 1, 4)
    assert result.different == [(2, 1)]

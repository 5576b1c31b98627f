"""The prompts of a measurement."""

import json

from benchmarks.workload import generate_body, make_texts


def test_the_same_seed_makes_the_same_texts() -> None:
    assert make_texts(seed="1/64/2", count=64, words=32) == make_texts(seed="1/64/2", count=64, words=32)


def test_texts_are_the_same_in_every_version() -> None:
    # A record made earlier stays comparable.
    assert make_texts(seed="1/1/1", count=1, words=4) == ["body year service time"]


def test_no_two_texts_are_alike_within_a_round_or_between_rounds() -> None:
    rounds = [text for turn in range(5) for text in make_texts(seed=f"1/64/{turn}", count=64, words=32)]

    assert len(set(rounds)) == len(rounds)


def test_no_two_texts_share_a_beginning_that_a_prefix_cache_could_keep() -> None:
    texts = make_texts(seed="1/64/1", count=64, words=32)

    assert len({tuple(text.split()[:16]) for text in texts}) == 64


def test_texts_have_the_words_asked_for() -> None:
    assert {len(text.split()) for text in make_texts(seed="1", count=9, words=12)} == {12}


def test_a_body_asks_for_exactly_so_many_greedy_tokens() -> None:
    assert json.loads(generate_body("say", max_new_tokens=7)) == {
        "inputs": "say",
        "parameters": {"max_new_tokens": 7, "do_sample": False, "ignore_eos": True},
    }

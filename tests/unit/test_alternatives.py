"""The alternatives of one request differ in nothing but their seeds."""

from dataclasses import replace

from service.choices import alternatives
from service.domain import RawRequest

RAW = RawRequest(prompt="a", temperature=0.5)


def test_a_given_seed_counts_up_and_wraps_around() -> None:
    assert [raw.seed for raw in alternatives(replace(RAW, seed=41), 3)] == [41, 42, 43]
    assert [raw.seed for raw in alternatives(replace(RAW, seed=2**63 - 1), 2)] == [2**63 - 1, 0]
    assert [replace(raw, seed=None) for raw in alternatives(replace(RAW, seed=1), 2)] == [RAW, RAW]


def test_without_a_seed_each_draws_its_own() -> None:
    assert alternatives(RAW, 2) == [RAW, RAW]

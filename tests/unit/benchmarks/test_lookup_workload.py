"""The prompts for prompt lookup are decided by their seed, and say what they should."""

from pathlib import Path

import pytest

from benchmarks.lookup import LookupSettings, lookup_config, turns
from benchmarks.lookup_workload import lookup_prompts


@pytest.fixture
def settings() -> LookupSettings:
    return LookupSettings(
        prompt_lookup=5,
        workloads=("edit", "free"),
        concurrencies=(1, 16),
        tokens=8,
        rounds=2,
        cache_gib=1,
        max_batched_tokens=128,
        seed=1,
    )


def test_the_same_seed_makes_the_same_chats_and_no_two_are_alike(default_model: Path) -> None:
    made = [lookup_prompts(default_model, "edit", seed="a", count=4) for _ in range(2)]
    assert made[0] == made[1]
    assert len({prompt.text for prompt in made[0]}) == 4
    assert made[0] != lookup_prompts(default_model, "edit", seed="b", count=4)


def test_an_edit_holds_the_code_that_its_answer_copies(default_model: Path) -> None:
    (prompt,) = lookup_prompts(default_model, "edit", seed="a", count=1)
    assert prompt.text.count("def ") == 5
    assert 200 < len(prompt.token_ids) < 500
    assert "<|im_start|>user" in prompt.text


def test_both_sides_are_as_the_service_would_run_them(default_model: Path, settings: LookupSettings) -> None:
    config = lookup_config(default_model, settings)
    assert (config.prompt_lookup, config.cache_gib, config.max_batched_tokens) == (None, 1, 128)
    assert config.properties["INFERENCE_PRECISION_HINT"] == "f32"


def test_there_are_pairs_for_warming_up_and_enough_requests(settings: LookupSettings) -> None:
    assert turns(settings) == 3 * 2 * 2
    assert [settings.requests(concurrency) for concurrency in (1, 2, 16)] == [3, 4, 16]

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_fakes import Counting

from export.quality.greedy import NEW_TOKENS, PROMPT_TOKENS, agreeing_prefixes, pick_prompts, prefix_length
from export.quality.speed import DECODE_TOKENS, Timed, decode_tokens_per_s
from export.quality.texts import Sample


def sample(length: int) -> Sample:
    return Sample(kind="prose", name="x", ids=np.arange(length, dtype=np.int64) % 11)


def test_a_model_agrees_with_itself_to_the_end() -> None:
    prompts = pick_prompts([sample(60), sample(70)])
    parts: list[float] = []
    assert agreeing_prefixes(Counting(), Counting(), prompts, parts.append) == (NEW_TOKENS, NEW_TOKENS)
    assert parts == [0.5, 1.0]


@pytest.mark.parametrize("agreed", [0, 1, 7, NEW_TOKENS - 1])
def test_the_prefix_ends_where_the_converted_model_would_first_write_something_else(agreed: int) -> None:
    prompts = pick_prompts([sample(60)])
    differing = Counting(skips_from=PROMPT_TOKENS - 1 + agreed)
    assert agreeing_prefixes(Counting(), differing, prompts, lambda _: None) == (agreed,)


def test_the_prefix_is_what_free_writing_would_have_shared() -> None:
    prompt = sample(60).ids[:PROMPT_TOKENS]
    differing = Counting(skips_from=PROMPT_TOKENS + 4)
    free = differing.continue_greedily(prompt[None], NEW_TOKENS)[0]
    source = Counting().continue_greedily(prompt[None], NEW_TOKENS)[0]
    shared = int(np.argmax(free != source))
    assert agreeing_prefixes(Counting(), differing, prompt[None], lambda _: None) == (shared,)


@given(st.lists(st.integers(0, 3), min_size=1), st.lists(st.integers(0, 3), min_size=1))
def test_all_before_the_prefix_is_equal_and_what_follows_is_not(ours: list[int], theirs: list[int]) -> None:
    count = min(len(ours), len(theirs))
    length = prefix_length(np.array(ours[:count]), np.array(theirs[:count]))
    assert ours[:length] == theirs[:length]
    assert length == count or ours[length] != theirs[length]


def test_prompts_are_spread_over_the_set_and_of_one_length() -> None:
    samples = [
        Sample(kind="prose", name=str(index), ids=np.full(50, index, dtype=np.int64)) for index in range(71)
    ]
    prompts = pick_prompts([sample(PROMPT_TOKENS - 1), *samples])
    assert prompts.shape == (32, PROMPT_TOKENS)
    assert (prompts[0, 0], prompts[-1, 0], len({*prompts[:, 0]})) == (0, 70, 32)


def test_speed_is_tokens_over_time() -> None:
    ticks = iter([0.0, 2.0])
    timed = Timed(Counting(), clock=lambda: next(ticks))
    timed.logits(np.arange(10))
    assert timed.tokens_per_s == 5
    # 1 s to read the prompt, then 1 s again and 4 s of writing
    ticks = iter([0.0, 1.0, 6.0])
    assert decode_tokens_per_s(Counting(), np.arange(5), clock=lambda: next(ticks)) == DECODE_TOKENS / 4

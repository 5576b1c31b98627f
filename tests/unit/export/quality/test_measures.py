import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from export.quality.measures import CHUNK, compare, join
from export.quality.summary import CONFIDENT_MARGIN, KL_EDGES, histogram, summarise


def logits(*rows: tuple[float, ...]) -> np.ndarray:
    """The logarithms of probabilities, as a model might give them."""
    return np.log(np.array(rows, dtype=np.float64))


def test_two_known_distributions_give_the_values_worked_out_by_hand() -> None:
    source, converted = logits((0.5, 0.25, 0.25)), logits((0.25, 0.5, 0.25))
    positions = compare(source, converted, np.array([0]))
    assert positions.source_loss[0] == pytest.approx(math.log(2))
    assert positions.converted_loss[0] == pytest.approx(math.log(4))
    # 0.5 ln(0.5 / 0.25) + 0.25 ln(0.25 / 0.5) + 0
    assert positions.kl[0] == pytest.approx(0.25 * math.log(2))
    assert not positions.agrees[0]
    assert positions.margin[0] == pytest.approx(0.25)


def test_the_summary_of_two_positions_is_the_one_worked_out_by_hand() -> None:
    source = logits((0.5, 0.25, 0.25), (0.8, 0.1, 0.1))
    converted = logits((0.25, 0.5, 0.25), (0.8, 0.1, 0.1))
    measures = summarise(compare(source, converted, np.array([0, 1])))
    assert measures.source_perplexity == pytest.approx(math.sqrt(2 * 10))
    assert measures.converted_perplexity == pytest.approx(math.sqrt(4 * 10))
    assert measures.perplexity_ratio == pytest.approx(math.sqrt(2))
    assert measures.kl_mean == pytest.approx(0.125 * math.log(2))
    assert measures.kl_p99 == pytest.approx(0.99 * 0.25 * math.log(2))
    assert (measures.top1_agreement, measures.positions) == (0.5, 2)
    assert (measures.confident_share, measures.confident_agreement) == (1.0, 0.5)


def test_without_a_position_where_the_source_is_sure_there_is_no_fault_there() -> None:
    measures = summarise(compare(logits((0.5, 0.5)), logits((0.4, 0.6)), np.array([0])))
    assert CONFIDENT_MARGIN > 0
    assert (measures.confident_share, measures.confident_agreement) == (0.0, 1.0)


some_logits = arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=32))


@given(some_logits)
def test_a_model_is_exactly_itself(values: np.ndarray) -> None:
    measures = summarise(compare(values, values.copy(), np.array([0, 3, 6])))
    assert (measures.kl_mean, measures.top1_agreement, measures.perplexity_ratio) == (0.0, 1.0, 1.0)
    assert measures.source_perplexity == measures.converted_perplexity


@given(some_logits, some_logits)
def test_float32_is_near_float64_and_kl_is_never_negative(source: np.ndarray, converted: np.ndarray) -> None:
    following = np.array([1, 2, 3])
    rough = compare(source, converted, following)
    fine = compare(source.astype(np.float64), converted.astype(np.float64), following)
    assert (rough.kl >= 0).all()
    np.testing.assert_allclose(rough.kl, fine.kl, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(rough.converted_loss, fine.converted_loss, rtol=1e-5, atol=1e-5)


@given(some_logits, some_logits, st.floats(-50, 50))
def test_a_shift_of_all_logits_changes_nothing(
    source: np.ndarray, converted: np.ndarray, shift: float
) -> None:
    following = np.array([1, 2, 3])
    plain = compare(source.astype(np.float64), converted.astype(np.float64), following)
    shifted = compare(source.astype(np.float64), converted.astype(np.float64) + shift, following)
    np.testing.assert_allclose(shifted.kl, plain.kl, atol=1e-9)
    np.testing.assert_allclose(shifted.converted_loss, plain.converted_loss, atol=1e-9)


@settings(max_examples=20)
@given(st.integers(1, 3 * CHUNK + 1), st.integers(0, 2**32 - 1))
def test_chunks_do_not_show(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    source, converted = random.normal(size=(2, count, 5))
    following = random.integers(0, 5, count)
    whole = compare(source, converted, following)
    single = join(
        [compare(source[i : i + 1], converted[i : i + 1], following[i : i + 1]) for i in range(count)]
    )
    np.testing.assert_allclose(whole.kl, single.kl, atol=1e-12)
    assert (whole.agrees == single.agrees).all()


def test_columns_that_only_one_model_has_are_left_out() -> None:
    source, converted = logits((0.5, 0.25, 0.25)), logits((0.5, 0.25, 0.25, 0.9))
    assert compare(source, converted, np.array([0])).kl[0] == pytest.approx(0)


def test_every_value_is_in_the_histogram_those_beyond_it_at_its_ends() -> None:
    drawn = histogram(np.array([0.0, 1e-9, 0.01, 1000.0]))
    assert sum(drawn.counts) == 4
    assert (drawn.counts[0], drawn.counts[-1]) == (2, 1)
    assert len(drawn.edges) == len(drawn.counts) + 1 == len(KL_EDGES)

from dataclasses import replace

import numpy as np
import pytest

from export.quality.errors import QualityError
from export.quality.measures import Positions
from export.quality.summary import summarise

POSITIONS = Positions(
    source_loss=np.zeros(2),
    converted_loss=np.log([2.0, 8.0]),
    kl=np.array([0.0, 0.5]),
    agrees=np.array([True, False]),
    margin=np.array([0.9, 0.1]),
)


def test_measures_are_those_of_the_positions() -> None:
    measures = summarise(POSITIONS)
    assert (measures.source_perplexity, measures.converted_perplexity) == (1, pytest.approx(4))
    assert (measures.kl_mean, measures.top1_agreement, measures.confident_agreement) == (0.25, 0.5, 1.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_model_whose_logits_are_no_numbers_is_refused(broken: float) -> None:
    with pytest.raises(QualityError, match="are no numbers"):
        summarise(replace(POSITIONS, kl=np.array([0.0, broken])))

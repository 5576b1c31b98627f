"""Sums up compared positions."""

import numpy as np
from numpy.typing import NDArray

from export.quality.errors import QualityError
from export.quality.measures import Positions
from export.quality.report import Histogram, Measures

CONFIDENT_MARGIN = 0.2  # the source's first token is likelier than its second by this much or more
KL_EDGES = np.logspace(-6, 1, 43)


def summarise(positions: Positions) -> Measures:
    """The measures over all of `positions`.

    Raises:
        QualityError: when a model's logits are no numbers, which nobody can accept.
    """
    if not (np.isfinite(positions.kl).all() and np.isfinite(positions.converted_loss).all()):
        raise QualityError(
            "the converted model's logits are no numbers (NaN or infinite): use other --weights"
        )
    confident = positions.margin >= CONFIDENT_MARGIN
    return Measures(
        positions=len(positions.kl),
        source_perplexity=_exp_mean(positions.source_loss),
        converted_perplexity=_exp_mean(positions.converted_loss),
        perplexity_ratio=_exp_mean(positions.converted_loss - positions.source_loss),
        kl_mean=float(positions.kl.mean()),
        kl_p99=float(np.quantile(positions.kl, 0.99)),
        top1_agreement=float(positions.agrees.mean()),
        confident_share=float(confident.mean()),
        confident_agreement=float(positions.agrees[confident].mean()) if confident.any() else 1.0,
    )


def histogram(values: NDArray[np.float64]) -> Histogram:
    """How many of the KL values lie between the edges; those beyond count in the first or the last."""
    counts, _ = np.histogram(np.clip(values, KL_EDGES[0], KL_EDGES[-1]), KL_EDGES)
    return Histogram(edges=[float(edge) for edge in KL_EDGES], counts=[int(count) for count in counts])


def _exp_mean(values: NDArray[np.float64]) -> float:
    return float(np.exp(values.mean()))

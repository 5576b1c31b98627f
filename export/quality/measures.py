"""Compares two models' next-token distributions, position by position."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 32  # positions at a time: the temporaries stay within a few MB whatever the text's length


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """One value for each compared position of a text, [T].

    `source_loss` and `converted_loss` are the negative logarithms of the probability that each model gives
    to the token that follows, `kl` is KL(source || converted), all in nats. `agrees` says whether both put
    the same token first; `margin` is by how much the source's first token is likelier than its second.
    """

    source_loss: NDArray[np.float64]
    converted_loss: NDArray[np.float64]
    kl: NDArray[np.float64]
    agrees: NDArray[np.bool_]
    margin: NDArray[np.float64]


def compare(
    source: NDArray[np.floating], converted: NDArray[np.floating], following: NDArray[np.int64]
) -> Positions:
    """Compare logits [T, V] of both models; `following` [T] are the tokens that come next.

    The arithmetic is that of the logits' own type: for float32 the rounding of a KL value is about 1e-6.
    Equal logits give exactly 0. Columns that only one of the two has (a vocabulary padded to a round
    number) are left out.
    """
    width = min(source.shape[1], converted.shape[1])
    parts = [
        _compare(
            source[start : start + CHUNK, :width],
            converted[start : start + CHUNK, :width],
            following[start : start + CHUNK],
        )
        for start in range(0, len(following), CHUNK)
    ]
    return join(parts)


def join(parts: "list[Positions]") -> Positions:
    """All positions of `parts`, in order."""
    return Positions(
        source_loss=np.concatenate([part.source_loss for part in parts]),
        converted_loss=np.concatenate([part.converted_loss for part in parts]),
        kl=np.concatenate([part.kl for part in parts]),
        agrees=np.concatenate([part.agrees for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
    )


def _compare(
    source: NDArray[np.floating], converted: NDArray[np.floating], following: NDArray[np.int64]
) -> Positions:
    rows = np.arange(len(following))
    first = source.argmax(axis=1)
    agrees = first == converted.argmax(axis=1)
    ours, our_weights, our_log = _shifted(source)
    theirs, _, their_log = _shifted(converted)
    source_loss = our_log - ours[rows, following]
    converted_loss = their_log - theirs[rows, following]
    margin = _margin(our_weights) / our_weights.sum(axis=1)
    np.subtract(ours, theirs, out=ours)
    ours *= our_weights
    mean_difference = ours.sum(axis=1) / our_weights.sum(axis=1)
    kl = mean_difference - our_log + their_log
    return Positions(
        source_loss=source_loss.astype(np.float64),
        converted_loss=converted_loss.astype(np.float64),
        kl=np.maximum(kl, 0).astype(np.float64),  # rounding alone goes below
        agrees=agrees,
        margin=margin.astype(np.float64),
    )


def _shifted(
    logits: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """The logits below their row's greatest, the exponentials of that, and the logarithm of their sum."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    return shifted, weights, np.log(weights.sum(axis=1))


def _margin(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    top = np.partition(weights, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])

"""What is aimed at: turns gains into one number, and says when a gain is one."""

from collections.abc import Sequence
from typing import Literal, get_args

from service.tuning.candidate import Candidate, Gain, Sample, gain

Objective = Literal["latency", "throughput", "balanced", "reproducible"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

MOST_LOST = 0.05
"""The part of the speed at many requests that `balanced` may give away of what is had without a tuning."""
LEAST_GAIN = 0.02
"""Less than this over the shipped defaults is noise."""
LEAST_GAIN_OF_ONE_ROUND = 0.05
"""The same where a single round tells of it."""
_LEAST_ROUNDS_WON = 2 / 3


def score(objective: Objective, wanted: Gain, *, usual_together: float = 0.0) -> float:
    """How good a gain is; `usual_together` is the gain at many requests that can be had without a tuning.

    Of latency two thirds are the speed of one request, a third its first token. The balanced score falls
    steeply where more than MOST_LOST is lost at many requests: noise at the border excludes nobody.
    """
    if objective == "latency":
        return float(wanted.alone ** (2 / 3) * wanted.first_token ** (1 / 3))
    if objective == "throughput":
        return wanted.together
    balanced = float((wanted.alone * wanted.together) ** 0.5)
    least = (1 - MOST_LOST) * usual_together
    return balanced * min(1.0, wanted.together / least) ** 8 if least > 0 else balanced


def admits(objective: Objective, candidate: Candidate) -> bool:
    """Whether the objective allows for it at all."""
    return objective != "reproducible" or candidate.is_exact


def keeps_enough(objective: Objective, wanted: Gain, *, usual_together: float) -> bool:
    """Whether it loses no more at many requests than the objective allows."""
    return objective in ("latency", "throughput") or wanted.together >= (1 - MOST_LOST) * usual_together


def is_beyond_noise(objective: Objective, samples: Sequence[Sample], control: Sequence[Sample]) -> bool:
    """Whether a series is better than the control's by more than LEAST_GAIN, and in two rounds of three."""
    if score(objective, gain(list(samples), list(control))) < 1 + LEAST_GAIN:
        return False
    won = sum(
        score(objective, gain([mine], [theirs])) > 1 for mine, theirs in zip(samples, control, strict=True)
    )
    return won >= _LEAST_ROUNDS_WON * len(samples)

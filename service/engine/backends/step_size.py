"""How large the steps of reproducible mode are, so that each row in them is computed alike."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.engine.backends.companions import most_companions
from service.engine.backends.prefill import SPARE_TOKENS
from service.engine.backends.rows import Rows
from service.errors import ConfigError

# With room for fewer, another part of the numbers of rows is better, whatever it takes of our own requests.
_FEWEST_RUNNING = 8
# Where steps can't be made smaller: more requests of our own would cost too much.
_MOST_LEAST_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSize:
    """What the engine's steps hold.

    least_rows: of a step, and of those of its requests that get a token. beside: requests at least, where
    that makes a difference. max_running: requests at most, without our own. tokens: at most, all in all.
    """

    least_rows: int
    beside: int
    max_running: int
    tokens: int


def most_tokens(threads: int, *, max_batched_tokens: int, max_running: int) -> int:
    """What a step holds where nothing limits it: what was asked for is for the real requests."""
    return _tokens(max_batched_tokens, max_running) + most_companions(threads)


def fit(parts: Iterable[Rows], threads: int, *, max_batched_tokens: int, max_running: int) -> StepSize:
    """The steps for the first of `parts` that has room for requests beside our own.

    Raises:
        ConfigError: none has.
    """
    fewest = min(_FEWEST_RUNNING, max_running)
    most = 0
    for rows in parts:
        beside = max(threads, rows.least)
        companions = most_companions(beside)
        room = rows.most - companions - SPARE_TOKENS
        if room >= fewest:
            running = min(max_running, room)
            tokens = min(_tokens(max_batched_tokens, running) + companions, rows.most)
            return StepSize(least_rows=rows.least, beside=beside, max_running=running, tokens=tokens)
        most = max(most, rows.most)
    threads_that_fit = max(1, (most - SPARE_TOKENS - fewest) // 2)
    raise ConfigError(
        f"`reproducible` = true takes requests of its own for each of {threads} threads, and this CPU "
        f"computes no more than {most} rows of this model alike: set INFERENCE_NUM_THREADS to "
        f"{threads_that_fit} at most in `properties`"
    )


def fit_uncut(parts: Iterable[Rows], threads: int, *, max_batched_tokens: int, max_running: int) -> StepSize:
    """The steps where prompts of any length are computed whole, whatever their rows are.

    Raises:
        ConfigError: many rows are not computed as few.
    """
    least = list(parts)[-1].least
    if least > _MOST_LEAST_ROWS:
        raise ConfigError(
            "`reproducible` = true is not possible with this vision model on this CPU, which computes "
            f"{least} rows and more in another way than fewer: take `reproducible` out of its settings"
        )
    beside = max(threads, least)
    tokens = most_tokens(beside, max_batched_tokens=max_batched_tokens, max_running=max_running)
    return StepSize(least_rows=least, beside=beside, max_running=max_running, tokens=tokens)


def _tokens(max_batched_tokens: int, max_running: int) -> int:
    return max(max_batched_tokens, max_running + SPARE_TOKENS)

"""How large the steps of reproducible mode are, so that each row in them is computed alike."""

from collections.abc import Iterable
from dataclasses import dataclass

from service.engine.backends.companions import most_companions
from service.engine.backends.prefill import SPARE_TOKENS
from service.engine.backends.rows import Rows
from service.errors import ConfigError

# With room for fewer, another part of the numbers of rows is better, whatever it takes of our own requests.
_FEWEST_RUNNING = 8
# Of a step's rows: prompts get so much of it beside as many requests as may run.
_PROMPTS_SHARE = 0.25

MOST_LEAST_ROWS = 16
"""Where steps can't be made smaller: more requests of our own would cost too much."""


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
    fitting_threads, most = 0, 0
    for rows in parts:
        beside = max(threads, rows.least)
        wanted = most_tokens(beside, max_batched_tokens=max_batched_tokens, max_running=max_running)
        if wanted <= rows.most:
            return StepSize(least_rows=rows.least, beside=beside, max_running=max_running, tokens=wanted)
        companions = most_companions(beside)
        spare = max(SPARE_TOKENS, int(_PROMPTS_SHARE * rows.most))
        room = rows.most - companions - spare
        if room >= fewest:
            running = min(max_running, room)
            return StepSize(least_rows=rows.least, beside=beside, max_running=running, tokens=rows.most)
        fitting = (rows.most - spare - fewest) // 2
        if fitting >= max(2, rows.least):
            fitting_threads = max(fitting_threads, fitting)
        most = max(most, rows.most)
    advice = f"set INFERENCE_NUM_THREADS to {fitting_threads} at most in `properties`"
    raise ConfigError(
        f"`reproducible` = true takes requests of its own for each of {threads} threads, and this CPU "
        f"computes no more than {most} rows of this model alike: "
        f"{advice if 0 < fitting_threads < threads else 'raise `max_batched_tokens`'}"
    )


def fit_uncut(parts: Iterable[Rows], threads: int, *, max_batched_tokens: int, max_running: int) -> StepSize:
    """The steps where prompts of any length are computed whole, whatever their rows are.

    Raises:
        ConfigError: many rows are not computed as few.
    """
    least = list(parts)[-1].least
    if least > MOST_LEAST_ROWS:
        raise ConfigError(
            "`reproducible` = true is not possible with this vision model on this CPU, which computes "
            f"{least} rows and more in another way than fewer: take `reproducible` out of its settings"
        )
    beside = max(threads, least)
    tokens = most_tokens(beside, max_batched_tokens=max_batched_tokens, max_running=max_running)
    return StepSize(least_rows=least, beside=beside, max_running=max_running, tokens=tokens)


def _tokens(max_batched_tokens: int, max_running: int) -> int:
    return max(max_batched_tokens, max_running + SPARE_TOKENS)

"""Measures a group of candidates and the control in turn: A B C, A B C."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.tuning.candidate import Sample
from service.tuning.errors import CandidateError
from service.tuning.ledger import Entry
from service.tuning.trial import Laboratory, Trial

# A candidate's round may take so many times as long as the control's, and never less than the seconds: what
# is so slow wins nothing, and would take the others' time.
_MOST_TIMES, _LEAST_CUT_S = 10, 2.0


@asynccontextmanager
async def opened(
    laboratory: Laboratory, entries: Sequence[Entry]
) -> AsyncIterator[list[tuple[Entry, Trial]]]:
    """Run the candidates that the engine takes; what it refuses is noted as failed, and left out."""
    running: list[tuple[Entry, Trial]] = []
    try:
        for entry in entries:
            try:
                running.append((entry, await laboratory.open(entry.candidate)))
            except CandidateError as error:
                _drop(entry, error)
        yield running
    finally:
        for _, trial in running:
            await trial.close()


async def measure_in_turn(control: Trial, group: Sequence[tuple[Entry, Trial]]) -> None:
    """One round of the control, then of each; whoever fails, or is far slower, is noted.

    Raises:
        CandidateError: the control itself failed.
    """
    began_s = time.monotonic()
    beside = await control.measure()
    most_s = max(_LEAST_CUT_S, _MOST_TIMES * (time.monotonic() - began_s))
    for entry, trial in group:
        if entry.state == "failed":
            continue
        try:
            sample = await _measure_within(trial, most_s)
        except CandidateError as error:
            _drop(entry, error)
        else:
            entry.samples.append(sample)
            entry.control.append(beside)


async def _measure_within(trial: Trial, most_s: float) -> Sample:
    try:
        async with asyncio.timeout(most_s):
            return await trial.measure()
    except TimeoutError as error:
        raise CandidateError(f"{_MOST_TIMES} times slower than what is used now") from error


def _drop(entry: Entry, error: CandidateError) -> None:
    entry.state, entry.note = "failed", error.message

"""Measures a group of candidates and the control in turn: A B C, A B C."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.tuning.candidate import Sample
from service.tuning.errors import CandidateError
from service.tuning.ledger import Entry
from service.tuning.trial import Laboratory, Trial

# A candidate may take so many times as long as the control, to load and for a round, and never less than the
# seconds: what is so slow wins nothing, and would take the others' time.
_MOST_TIMES, _LEAST_CUT_S = 10, 2.0


@asynccontextmanager
async def opened(
    laboratory: Laboratory, entries: Sequence[Entry], *, usual_s: float | None = None
) -> AsyncIterator[list[tuple[Entry, Trial]]]:
    """Run the candidates that the engine takes; what it refuses is noted as failed, and left out.

    usual_s: how long one loads; what takes far longer is left out too. None where nobody knows yet.
    """
    most_s = None if usual_s is None else _most_s(usual_s)
    running: list[tuple[Entry, Trial]] = []
    try:
        for entry in entries:
            try:
                running.append((entry, await _open_within(laboratory, entry, most_s)))
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
    most_s = _most_s(time.monotonic() - began_s)
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


def _most_s(usual_s: float) -> float:
    return max(_LEAST_CUT_S, _MOST_TIMES * usual_s)


async def _open_within(laboratory: Laboratory, entry: Entry, most_s: float | None) -> Trial:
    try:
        async with asyncio.timeout(most_s):
            return await laboratory.open(entry.candidate)
    except TimeoutError as error:
        raise CandidateError(f"not loaded {_MOST_TIMES} times as long as others take") from error


async def _measure_within(trial: Trial, most_s: float) -> Sample:
    try:
        async with asyncio.timeout(most_s):
            return await trial.measure()
    except TimeoutError as error:
        raise CandidateError(f"{_MOST_TIMES} times slower than what is used now") from error


def _drop(entry: Entry, error: CandidateError) -> None:
    entry.state, entry.note = "failed", error.message

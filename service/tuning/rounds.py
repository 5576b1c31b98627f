"""Measures a group of candidates and the control in turn: A B C, A B C."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.tuning.errors import CandidateError
from service.tuning.ledger import Entry
from service.tuning.trial import Laboratory, Trial


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
    """One round of the control, then of each; whoever fails is noted, and its round forgotten.

    Raises:
        CandidateError: the control itself failed.
    """
    beside = await control.measure()
    for entry, trial in group:
        if entry.state == "failed":
            continue
        try:
            sample = await trial.measure()
        except CandidateError as error:
            _drop(entry, error)
        else:
            entry.samples.append(sample)
            entry.control.append(beside)


def _drop(entry: Entry, error: CandidateError) -> None:
    entry.state, entry.note = "failed", error.message

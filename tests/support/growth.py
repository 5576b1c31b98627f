"""Measures how work grows with the length of a text."""

import time
from collections.abc import Callable


def of_length(unit: str, length: int) -> str:
    return unit * (length // len(unit))


def cpu_s(reader: Callable[[str], None], line: str) -> float:
    """The least processor time of several runs: what others do on the machine hardly shows in it."""
    times = []
    for _ in range(7):
        started_s = time.thread_time()
        reader(line)
        times.append(time.thread_time() - started_s)
    return min(times)

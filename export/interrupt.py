"""Ends a conversion on SIGINT or SIGTERM, at a moment that leaves nothing half."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Asked to end; not a KeyboardInterrupt, which typer turns into a return value."""


def raise_on_signals() -> None:
    """Turn the first signal into `Interrupted`; those that follow must not disturb the tidying up."""
    for number in SIGNALS:
        signal.signal(number, _raise_once)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait for the end of a block that must not be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda came_now, _frame: came.append(came_now)) for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            signal.raise_signal(late)


def _raise_once(_signal: int, _frame: FrameType | None) -> None:
    for number in SIGNALS:
        signal.signal(number, _ignore)
    raise Interrupted


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    pass

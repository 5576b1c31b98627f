"""Ends a conversion on SIGINT or SIGTERM, at a moment that leaves nothing half."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 1.0
EXIT_CODE = 130


class Interrupted(BaseException):
    """Asked to end; not a KeyboardInterrupt, which typer turns into a return value."""


class Interrupts:
    """Turns the first signal into `Interrupted`; a second one ends what does not listen.

    Python runs a signal's handler in the main thread between two of its own instructions, and a model
    runtime may take minutes over one call. So a thread hears of signals at once: it says that the current
    step is being waited for, and at the second signal tidies up and ends the process itself. Once the
    main thread tidies up, further signals are ignored.
    """

    def __init__(self) -> None:
        self._raised = threading.Event()
        self._tidy: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Take the signals over."""
        for number in SIGNALS:
            signal.signal(number, self._raise_once)
        heard, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(heard,), daemon=True).start()

    def tidy_with(self, tidy: Callable[[], None]) -> None:
        """Call `tidy`, from another thread, before a second signal ends the process."""
        self._tidy = tidy

    def _raise_once(self, _signal: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, _ignore)
        self._raised.set()
        raise Interrupted

    def _watch(self, heard: int) -> None:
        os.read(heard, 1)
        if self._raised.wait(PATIENCE_S):
            return
        sys.stderr.write("interrupted: waiting for the current step; once more to end at once\n")
        os.read(heard, 1)
        if not self._raised.is_set():
            self._tidy()
            sys.stderr.write("error: interrupted: the output is as it was before\n")
            os._exit(EXIT_CODE)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait for the end of a block that must not be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda late, _frame: came.append(late)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            signal.raise_signal(late)


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    pass

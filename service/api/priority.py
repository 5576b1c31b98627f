"""Who goes first where the API process and an engine want the same core."""

import contextlib
import os


def give_way_to_engines() -> None:
    """Let this process never interrupt an engine's threads; an engine process takes that back for itself.

    An engine's message wakes the event loop, often on the engine's own core while its threads still keep the
    others: under the usual policy the engine then waits, between each step and the next, until the message is
    dealt with. Under SCHED_BATCH (sched(7)) the event loop begins when the engine rests or a core is free.
    Where the system forbids the change, as some sandboxes do, or whoever started us has chosen another one,
    all stays as it is.
    """
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

"""Bounds the CPU cores that a conversion uses."""

import os

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def bound_cores(count: int) -> None:
    """Use `count` cores at most: every thread of every library, and child processes.

    Call it before the libraries start threads. OpenVINO's pool (TBB) takes no variable, but all take the
    process's affinity; the variables keep others from starting more threads than that.
    """
    chosen = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, chosen)
    for name in THREAD_VARIABLES:
        os.environ[name] = str(len(chosen))

"""Who took the CPU."""

import os
from dataclasses import replace

from benchmarks.cpu import CpuMeter, CpuTime


def test_what_was_taken_lies_between_two_readings() -> None:
    early = CpuTime(api_s=1.0, engine_s=2.0, raw_s=3.0, client_s=4.0, probe_s=5.0, others_s=6.0)
    late = CpuTime(api_s=1.5, engine_s=4.0, raw_s=3.0, client_s=4.0, probe_s=5.0, others_s=7.0)

    assert late.since(early) == CpuTime(
        api_s=0.5, engine_s=2.0, raw_s=0.0, client_s=0.0, probe_s=0.0, others_s=1.0
    )


def test_a_busy_process_shows_as_itself() -> None:
    pid, parent = os.getpid(), os.getppid()
    meter = CpuMeter(api_pid=pid, engine_pid=parent, raw_pid=parent, client_pid=parent, probe_pid=parent)
    early = meter.read()
    while meter.read().api_s - early.api_s < 0.05:
        pass

    taken = meter.read().since(early)

    assert taken.api_s >= 0.05


def test_a_measurement_is_disturbed_when_others_took_more_than_a_twentieth_of_its_cpu() -> None:
    quiet = CpuTime(api_s=1.0, engine_s=9.0, raw_s=0.0, client_s=0.0, probe_s=0.0, others_s=0.5)

    assert not quiet.is_disturbed
    assert replace(quiet, others_s=0.6).is_disturbed

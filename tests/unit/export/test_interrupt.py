"""Signals, in a process of their own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START = """
import hashlib, sys, time
from export.interrupt import Interrupted, Interrupts, signals_held
interrupts = Interrupts()
interrupts.listen()
interrupts.tidy_with(lambda: print("tidied", flush=True))
print("ready", flush=True)
"""
# One call into native code that lasts for half a minute and looks at no signal.
STUCK = START + "hashlib.pbkdf2_hmac('sha256', b'x', b'y', 30_000_000)\n"
TIDYING = """
try:
    time.sleep(60)
except Interrupted:
    time.sleep(1)
    print("done", flush=True)
"""
HELD = """
try:
    with signals_held():
        time.sleep(1)
        print("whole", flush=True)
    print("went on", flush=True)
except Interrupted:
    print("interrupted", flush=True)
"""


def run(script: str, *pauses_s: float) -> tuple[int, list[str], str]:
    """Send SIGINT after each pause, counted from the last; return the exit status and what was printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for pause_s in pauses_s:
        time.sleep(pause_s)
        process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=60)
    return process.returncode, printed.splitlines(), said


def test_a_second_signal_tidies_up_and_ends_what_does_not_listen() -> None:
    began_s = time.monotonic()
    status, printed, said = run(STUCK, 0.3, 1.5)
    assert (status, printed) == (130, ["tidied"])
    assert said.splitlines() == [
        "interrupted: waiting for the current step; once more to end at once",
        "error: interrupted: the output is as it was before",
    ]
    assert time.monotonic() - began_s < 10


def test_a_second_signal_does_not_disturb_the_tidying_up() -> None:
    assert run(START + TIDYING, 0.3, 0.2, 0.2) == (0, ["done"], "")


def test_a_signal_waits_for_the_end_of_what_must_not_be_half() -> None:
    assert run(START + HELD, 0.2) == (0, ["whole", "interrupted"], "")

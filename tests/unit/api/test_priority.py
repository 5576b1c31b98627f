"""The API process gives way to engines."""

import os
import subprocess
import sys

import pytest

from service.api import priority

_SCRIPT = """
import os
from service.api.priority import give_way_to_engines
give_way_to_engines()
print(os.sched_getscheduler(0))
"""


def test_the_process_gives_way() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, check=True)
    assert int(done.stdout) == os.SCHED_BATCH


def test_a_policy_that_was_chosen_stays() -> None:
    choose = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    done = subprocess.run([sys.executable, "-c", choose + _SCRIPT], capture_output=True, check=True)
    assert int(done.stdout) == os.SCHED_IDLE


def test_a_system_that_forbids_it_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_asked: object) -> None:
        raise PermissionError

    monkeypatch.setattr(priority.os, "sched_setscheduler", forbid)
    priority.give_way_to_engines()

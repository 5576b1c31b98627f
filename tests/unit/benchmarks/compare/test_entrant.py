"""A contender between its turns, and when it fails."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.client import Target
from benchmarks.compare.entrant import Entrant, entrants
from benchmarks.errors import BenchmarkError
from benchmarks.peers.contender import Contender
from benchmarks.peers.serving import Serving


@pytest.fixture
def pid() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process.pid
    process.kill()
    process.wait()


def entrant(pid: int | None) -> Entrant:
    target = Target(host="127.0.0.1", port=1, token="none")
    serving = Serving(target=target, base="/v1", model="m", pid=pid, launch_line="", settings="")
    return Entrant(contender=Contender(label="a", kind="openai", model="u"), is_ours=False, serving=serving)


def test_a_server_runs_in_its_turn_only(pid: int) -> None:
    one = entrant(pid)
    one.hold()
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED

    with one.turn():
        assert psutil.Process(pid).status() != psutil.STATUS_STOPPED

    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_one_that_fails_is_held_still_and_has_no_more_turns(pid: int) -> None:
    one = entrant(pid)

    with one.failing_softly("at 4: "), one.turn():
        raise BenchmarkError("no answer")

    assert one.failure == "at 4: no answer"
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
    with pytest.raises(BenchmarkError, match="not running"), one.turn():
        pass


def test_a_server_elsewhere_is_left_alone() -> None:
    one = entrant(None)

    one.hold()

    assert (one.is_suspended, one.cpu_s(), one.side().is_suspended) == (False, None, None)


def test_without_ours_the_first_stands_for_it() -> None:
    urls = [Contender(label=label, kind="openai", model=label) for label in "ab"]
    ours = Contender(label="c", kind="tiber-serve", model="m")

    assert [one.is_ours for one in entrants(urls)] == [True, False]
    assert [one.is_ours for one in entrants([*urls, ours])] == [False, False, True]

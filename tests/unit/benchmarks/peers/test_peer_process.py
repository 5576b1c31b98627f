"""A peer's process: started, held still, ended with all its children."""

import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.peers.launch import Launch
from benchmarks.peers.process import family, resume, running_peer, suspend
from benchmarks.server import free_port

# A server that answers everything with 200, and a child of its own.
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def launch(code: str, port: int) -> Launch:
    return Launch(command=(sys.executable, "-c", code, str(port)), environment={}, settings="")


@pytest.fixture
def target() -> Target:
    return Target(host="127.0.0.1", port=free_port(), token="none")


def test_a_peer_is_held_still_with_its_children_and_goes_on(target: Target) -> None:
    with running_peer(launch(SERVER, target.port), target) as pid:
        suspend(pid)
        held = {process.status() for process in family(pid)}
        count = len(family(pid))
        resume(pid)
        after = {process.status() for process in family(pid)}

    assert (held, count) == ({psutil.STATUS_STOPPED}, 2)
    assert psutil.STATUS_STOPPED not in after


def test_nothing_of_a_peer_outlives_it_even_when_held_still(target: Target) -> None:
    with running_peer(launch(SERVER, target.port), target) as pid:
        everyone = family(pid)
        suspend(pid)

    _, alive = psutil.wait_procs(everyone, timeout=10)
    # The child's parent is gone: whoever adopts it may not have taken note of its end.
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []


def test_a_peer_that_does_not_start_says_why(target: Target) -> None:
    began_s = time.monotonic()
    with (
        pytest.raises(BenchmarkError, match="no such model"),
        running_peer(launch("raise SystemExit('no such model')", target.port), target),
    ):
        pass
    assert time.monotonic() - began_s < 60


def test_the_launch_line_is_fit_for_a_shell() -> None:
    one = Launch(command=("a b", "--x=$y"), environment={"Z": "1 2"}, settings="")

    assert one.line == "Z='1 2' 'a b' '--x=$y'"


def test_the_peers_own_script_imports_nothing_of_ours() -> None:
    script = Path(__file__).parents[4] / "benchmarks" / "peers" / "llamacpp_server.py"

    assert "benchmarks." not in script.read_text(encoding="utf-8")

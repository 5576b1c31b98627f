"""What slow clients do, and how their effect is judged."""

import socket
from collections.abc import Iterator

import pytest

from benchmarks.client import Reply, Target
from benchmarks.slow_clients import SlowJob, SlowResult, SlowSockets, fault_of
from benchmarks.slowloris import Rounds, faults_of, summarise
from benchmarks.stats import Ratio

ANSWER = Reply(status=200, sent_s=0.0, ended_s=2.0, event_times_s=[], content=b'{"generated_text":"a"}')
LOST = Reply(status=None, sent_s=0.0, ended_s=1.0, event_times_s=[], content=b"", failure="lost")
REFUSED = Reply(status=503, sent_s=0.0, ended_s=1.0, event_times_s=[], content=b"{}")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def job(listener: socket.socket, **counts: int) -> SlowJob:
    target = Target(host="127.0.0.1", port=listener.getsockname()[1], token="t")
    return SlowJob(target=target, **{"headers": 0, "bodies": 0, "readers": 0, "tokens": 4, **counts})


def test_slow_headers_never_end(listener: socket.socket) -> None:
    sockets = SlowSockets(job(listener, headers=1))
    sockets.go_on()
    connection, _ = listener.accept()
    received = connection.recv(1000)
    for _ in range(5):
        assert sockets.go_on() == 1
        received += connection.recv(1000)
    assert received.startswith(b"POST /generate HTTP/1.1\r\n")
    assert received.endswith(b"x-slow: xxxxx")
    assert b"\r\n\r\n" not in received
    sockets.close()
    connection.close()


def test_a_slow_body_is_promised_and_comes_a_byte_at_a_time(listener: socket.socket) -> None:
    sockets = SlowSockets(job(listener, bodies=1))
    sockets.go_on()
    connection, _ = listener.accept()
    head = connection.recv(1000)
    assert b"content-length: 1000000\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    assert sockets.go_on() == 1
    assert connection.recv(1000) == b"x"
    sockets.close()
    connection.close()


def test_a_slow_reader_takes_a_byte_at_a_time(listener: socket.socket) -> None:
    sockets = SlowSockets(job(listener, readers=1))
    sockets.go_on()
    connection, _ = listener.accept()
    assert connection.recv(1000).startswith(b"POST /generate_stream ")
    connection.sendall(b"ab")
    connection.close()
    assert [sockets.go_on() for _ in range(3)] == [1, 1, 0]
    assert sockets.opened == 2
    sockets.close()


def test_what_the_server_closes_is_opened_anew(listener: socket.socket) -> None:
    sockets = SlowSockets(job(listener, headers=2, bodies=1))
    assert sockets.go_on() == 0
    connections = [listener.accept()[0] for _ in range(3)]
    connections[0].close()
    connections[2].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert sockets.go_on() == 1
    assert sockets.opened == 5
    sockets.close()
    for connection in connections:
        connection.close()


def test_groups_take_turns_until_all_are_open(listener: socket.socket) -> None:
    sockets = SlowSockets(job(listener, headers=3, bodies=2))
    opened = []
    for _ in range(4):
        sockets.go_on(2)
        opened.append(sockets.opened)
    assert opened == [3, 5, 5, 5]
    sockets.close()


def test_too_few_sockets_are_no_attack(listener: socket.socket) -> None:
    wanted = job(listener, headers=2)
    assert fault_of(SlowResult(opened=2), wanted) is None
    assert fault_of(SlowResult(opened=1), wanted) == "only 1 slow sockets were opened"
    assert fault_of(SlowResult(opened=2, failures=["OSError: gone"]), wanted) == "OSError: gone"


def test_good_requests_that_fail_are_faults() -> None:
    assert faults_of([ANSWER, LOST, REFUSED]) == ["lost", "status 503 without a text"]


def test_ratios_are_taken_round_by_round_and_of_all_requests() -> None:
    found = Rounds(quiet=[[1.0], [2.0], [4.0]], attacked=[[1.5], [2.0], [6.0]], opened=[200] * 3)
    results = summarise(found, slow_sockets=200)
    assert results.p99_ratio == Ratio(median=1.5, lowest=1.0, highest=1.5)
    assert results.p99_ratio_of_all == pytest.approx(5.92 / 3.96)
    assert results.faults == []


def test_a_round_without_an_answer_has_no_ratio() -> None:
    results = summarise(Rounds(quiet=[[1.0]], attacked=[[]], faults=["lost"]), slow_sockets=1)
    assert (results.p99_ratio, results.p99_ratio_of_all, results.faults) == (None, None, ["lost"])

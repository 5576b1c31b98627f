"""The guard that keeps clients on this machine notices who tries to leave it."""

import socket

import pytest

from tests.clients.loopback import LoopbackOnly


@pytest.mark.parametrize("host", ["192.0.2.1", "huggingface.invalid"])
def test_another_host_is_refused_and_told(loopback_only: LoopbackOnly, host: str) -> None:
    with (
        pytest.raises(AssertionError, match=host),
        loopback_only.enforced(),
        pytest.raises(ConnectionRefusedError, match=host),
    ):
        socket.create_connection((host, 80), timeout=1)
    # Or the guard of this very test would tell it again.
    loopback_only.attempts.clear()


def test_a_tolerated_host_is_refused_without_a_word(loopback_only: LoopbackOnly) -> None:
    with loopback_only.enforced(tolerated=["192.0.2.1"]), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    loopback_only.attempts.clear()

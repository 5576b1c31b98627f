"""Keeps a process from reaching any other host."""

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

# What the clients would otherwise tell or ask their makers.
SILENCE = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


class LoopbackOnly:
    """Refuses every look-up of, and connection to, another host while `enforced`; `attempts` names them.

    It sees the sockets of Python itself, and so asyncio's, not those of uvloop. An audit hook can't be
    taken back: make one of these in a process.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._is_enforced = False
        sys.addaudithook(self._audit)

    @contextmanager
    def enforced(self, tolerated: Collection[str] = ()) -> Iterator[None]:
        """Refuse other hosts; at the end, fail if one was tried that is not `tolerated`.

        Raises:
            AssertionError: a client tried, even if it got over the refusal.
        """
        self._is_enforced = True
        self.attempts.clear()
        try:
            yield
        finally:
            self._is_enforced = False
        unexpected = set(self.attempts).difference(tolerated)
        assert not unexpected, f"a client tried to reach {unexpected}"

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_enforced:
            return
        if event == "socket.getaddrinfo":
            self._refuse_other(arguments[0])
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            self._refuse_other(arguments[1][0])

    def _refuse_other(self, host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name == "localhost":
            return
        try:
            is_loopback = ip_address(str(name)).is_loopback
        except ValueError:
            is_loopback = False
        if not is_loopback:
            self.attempts.append(str(name))
            raise ConnectionRefusedError(f"tests reach this machine only, not {name}")

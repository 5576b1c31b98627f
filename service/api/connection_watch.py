"""Looks at all connections about once a second, so that no request needs a timer of its own."""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from service.api.connection_room import Room
from service.settings import LimitSettings

_log = structlog.get_logger("http")

_INTERVAL_S = 1.0
# A look finds what is overdue by up to an interval: short limits need a short one.
_LOOKS_IN_A_LIMIT = 4
# Ending one costs a tenth of a millisecond: those of an attack are due together, and must not hold up others.
_LOOKS_AT_ONCE = 16


class Watched(Protocol):
    """A connection that ends what takes too long."""

    def look(self, now_s: float) -> None:
        """End it if it is overdue at `now_s` of the event loop's clock."""


async def watch_connections(connections: Collection[Watched], room: Room, limits: LimitSettings) -> None:
    """Look until cancelled; one log line a look tells of all that was ended since the last one."""
    loop = asyncio.get_running_loop()
    interval_s = look_interval_s(limits)
    while True:
        await asyncio.sleep(interval_s)
        for place, connection in enumerate(list(connections)):
            if connection in connections:
                _look(connection, loop.time())
            if place % _LOOKS_AT_ONCE == _LOOKS_AT_ONCE - 1:
                await asyncio.sleep(0)
        if room.ended:
            _log.warning("connections_ended", **room.ended)
            room.ended.clear()


def _look(connection: Watched, now_s: float) -> None:
    try:
        connection.look(now_s)
    except Exception:  # noqa: BLE001 - one connection's fault must not end the watch over the others
        _log.exception("look_failed")


def look_interval_s(limits: LimitSettings) -> float:
    """How often to look."""
    shortest_s = min(limits.header_timeout_s, limits.body_timeout_s, limits.send_timeout_s)
    return min(_INTERVAL_S, shortest_s / _LOOKS_IN_A_LIMIT)

"""Keeps the log of authentication events."""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from service.refusal import Reason, Refusal
from service.telemetry.audit_file import AuditSink
from service.telemetry.audit_flood import HourlyBudget, Repeats

# An event, and its fields but for those that change from one request to the next.
Repeated = tuple[str, tuple[tuple[str, object], ...]]

_SWEEP_S = 10.0
# How long an event stands for those that are equal to it.
_REPEAT_S = 60.0
_BANNED = "address_banned"

# Requests without a token are in the metrics alone: anybody may send any number of them.
_EVENTS: Mapping[Reason, str] = {
    "malformed": "token_refused",
    "wrong_token": "token_refused",
    "expired": "token_expired",
    "banned": "banned_address_refused",
    "rate_limited": "rate_limited",
    "concurrency": "concurrency_refused",
    "forbidden": "model_forbidden",
}


class AuditLog:
    """Writes what the guard and the stores tell; never a token, at most its id.

    A flood fills no disk: of events that are equal in everything but their request, the first is written,
    and the others of the next minute, or of the ban's duration, become one line with their number as
    `more`. Of each event at most 10,000 lines an hour are written; the rest are one `events_dropped`.
    `clock` counts seconds, and is never set back.
    """

    def __init__(
        self,
        sink: AuditSink,
        *,
        clock: Callable[[], float],
        repeats: Repeats[Repeated],
        budget: HourlyBudget,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._repeats = repeats
        self._budget = budget

    def refused(self, refusal: Refusal) -> None:
        """A request was not let in."""
        event = _EVENTS.get(refusal.reason)
        if event is None:
            return
        fields = _fields(refusal)
        now = self._clock()
        is_ban = refusal.reason == "banned"
        until = now + (refusal.left_s if is_ban else _REPEAT_S)
        key = (event, tuple(fields.items()))
        if is_ban:
            self._repeats.restart_if_later(key, until)
        if self._repeats.is_first(key, now=now, until=until):
            left = {"left_s": round(refusal.left_s, 1)} if is_ban else {}
            self._write(event, {**fields, **left})

    def banned(self, address: str, left_s: float) -> None:
        """Wrong tokens banned an address; several requests at once may each tell of it."""
        now = self._clock()
        key = (_BANNED, (("address", address),))
        self._repeats.restart_if_later(key, now + left_s)
        if self._repeats.is_first(key, now=now, until=now + left_s):
            self._write(_BANNED, {"address": address, "left_s": round(left_s, 1)})

    def store_failed(self) -> None:
        """One failed call is for the metrics; see `store_changed`."""

    def store_changed(self, *, is_up: bool) -> None:
        """The store of failures is used from now on, or done without."""
        self._write("store_up" if is_up else "store_down", {})

    async def run(self) -> None:
        """Write the numbers of what was left out, when their time comes and at the end."""
        try:
            while True:
                self.sweep(self._clock())
                await asyncio.sleep(_SWEEP_S)
        finally:
            self.sweep(float("inf"))

    def sweep(self, now: float) -> None:
        """Write the numbers whose time has come by `now`."""
        for (event, fields), count in self._repeats.take_ended(now):
            if event != _BANNED:
                self._write(event, {**dict(fields), "more": count})
        for event, count in self._budget.take_ended(now).items():
            self._sink.write("events_dropped", {"dropped": event, "count": count})

    def _write(self, event: str, fields: Mapping[str, object]) -> None:
        if self._budget.allows(event):
            request_id = structlog.contextvars.get_contextvars().get("request_id")
            self._sink.write(event, {**fields, **({"request_id": request_id} if request_id else {})})


def _fields(refusal: Refusal) -> dict[str, object]:
    fields = {
        "reason": refusal.reason if refusal.reason in ("malformed", "wrong_token") else None,
        "address": refusal.address,
        "token_id": refusal.token_id if refusal.reason != "banned" else None,
        "limit": refusal.limit,
    }
    return {name: value for name, value in fields.items() if value is not None}

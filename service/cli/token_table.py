"""Shows tokens: a table for people, lines for scripts, JSON for programs."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from service.auth.tokens import TokenRecord
from service.rate import RateLimit

COLUMNS = ("name", "id", "created", "expires", "last used", "models", "rate", "at once", "state")

_UNITS = (("s", 1.0), ("m", 60.0), ("h", 3600.0))


def table(records: Sequence[TokenRecord], *, now: datetime) -> Table:
    """A table for a terminal, without the columns that nothing stands in."""
    rows = [_cells(record, now, _short_time) for record in records]
    shown = Table(box=None, pad_edge=False, caption="times in UTC", caption_justify="left")
    used = [index for index in range(len(COLUMNS)) if any(row[index] for row in rows)]
    for index in used:
        # Folded where the terminal is narrow: a shortened id or name is of no use.
        shown.add_column(COLUMNS[index], overflow="fold")
    for row in rows:
        shown.add_row(*(Text(row[index]) for index in used), style="" if row[-1] == "valid" else "dim")
    return shown


def lines(records: Sequence[TokenRecord], *, now: datetime) -> list[str]:
    """A line for each token, the columns parted by tabs, times as ISO 8601."""
    return ["\t".join(_cells(record, now, _iso_time)) for record in records]


def as_json(records: Sequence[TokenRecord], *, now: datetime) -> str:
    """All of it; `models` empty means every model, null the service's defaults or never."""
    return json.dumps([_fields(record, now) for record in records], indent=2)


def _cells(
    record: TokenRecord, now: datetime, time_text: Callable[[datetime | None], str]
) -> tuple[str, ...]:
    return (
        record.name,
        record.id,
        time_text(record.created_at),
        time_text(record.expires_at),
        time_text(record.last_used_at),
        ",".join(record.models),
        f"{_rate(record.rate)} burst {record.rate.burst}" if record.rate else "",
        str(record.max_concurrent or ""),
        _state(record, now),
    )


def _fields(record: TokenRecord, now: datetime) -> dict[str, object]:
    return {
        "name": record.name,
        "id": record.id,
        "state": _state(record, now),
        "created_at": _iso_time(record.created_at) or None,
        "expires_at": _iso_time(record.expires_at) or None,
        "last_used_at": _iso_time(record.last_used_at) or None,
        "rotated_at": _iso_time(record.rotated_at) or None,
        "models": list(record.models),
        "rate": _rate(record.rate) if record.rate else None,
        "burst": record.rate.burst if record.rate else None,
        "max_concurrent": record.max_concurrent,
    }


def _state(record: TokenRecord, now: datetime) -> str:
    validity = "expired" if record.is_expired(now) else "valid"
    return validity if record.rotated_at is None else f"rotated out, {validity}"


def _rate(limit: RateLimit) -> str:
    """In the first unit in which it is a whole number: 1000/h is not 0.277778/s."""
    for unit, seconds in _UNITS:
        number = round(limit.per_s * seconds, 6)
        if number == int(number) > 0:
            return f"{int(number)}/{unit}"
    return f"{limit.per_s:.6g}/s"


def _short_time(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else ""


def _iso_time(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if time else ""

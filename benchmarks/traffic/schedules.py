"""Reads when requests are to arrive; pure, but for the trace's file."""

import csv
import itertools
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.traffic.specs import Form, read_number, read_spec, whole
from service.errors import ConfigError

_TRACE = "trace"
_COLUMN = "timestamp"
_EXAMPLES = "closed:64, poisson:4, constant:2, sweep, sweep:steps=5,concurrency=64, trace:FILE"
_SWEEP = {
    "sweep": Form(defaults={"steps": 5, "concurrency": 64}, example="sweep:steps=5,concurrency=64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """When to send no more; None means that this one does not limit."""

    requests: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """So many clients, each of which asks anew as soon as it was answered."""

    concurrency: int
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Requests that are due at these seconds after the start, whatever became of those before."""

    due_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One client, then `concurrency` of them, then `steps` rates between what these two reached."""

    steps: int
    concurrency: int


Schedule = Closed | Timed


def read_arrival(text: str, limit: Limit, *, seed: int) -> Schedule | Sweep:
    """Read a specification of arrivals.

    Raises:
        ConfigError: it says nothing we know, or the trace can't be read.
    """
    name, _, rest = text.strip().partition(":")
    if name == "sweep":
        _, values = read_spec(text, _SWEEP, "arrival")
        for key, value in values.items():
            whole(value, f"the arrival {text!r}: {key}")
        if values["concurrency"] < 2:
            raise ConfigError(f"the arrival {text!r}: a sweep goes from 1 client to 2 or more")
        return Sweep(steps=int(values["steps"]), concurrency=int(values["concurrency"]))
    if name == "closed":
        what = "the number of clients of closed:N"
        return Closed(concurrency=whole(read_number(rest, what), what), limit=limit)
    if name in ("poisson", "constant"):
        return at_rate(name, read_number(rest, f"the requests per second of {name}:R"), limit, seed=seed)
    if name == _TRACE and rest:
        return Timed(due_s=tuple(within(iter(read_trace(Path(rest))), limit)))
    raise ConfigError(f"there is no arrival {text!r}; there are: {_EXAMPLES}")


def at_rate(name: str, rate_per_s: float, limit: Limit, *, seed: int) -> Timed:
    """Arrivals with equal gaps (`constant`), or with exponential ones (`poisson`)."""
    chance = Random(f"{seed}/arrivals")
    if name == "constant":
        times: Iterator[float] = (number / rate_per_s for number in itertools.count())
    else:
        times = itertools.accumulate(chance.expovariate(rate_per_s) for _ in itertools.count())
    return Timed(due_s=tuple(within(times, limit)))


def within(times_s: Iterator[float], limit: Limit) -> Iterator[float]:
    """Those that the limit lets through."""
    for number, time_s in enumerate(times_s):
        if limit.requests is not None and number >= limit.requests:
            return
        if limit.duration_s is not None and time_s >= limit.duration_s:
            return
        yield time_s


def read_trace(path: Path) -> list[float]:
    """Read the field `timestamp`, in seconds, of each line; return them sorted, from the first one on.

    Raises:
        ConfigError: the file can't be read, or a line has no such number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the trace {path} can't be read: {error}") from error
    rows = _json_rows(lines, path) if path.suffix in (".jsonl", ".json") else csv.DictReader(lines)
    times_s = sorted(_timestamps(rows, path))
    if not times_s:
        raise ConfigError(f"the trace {path} has no lines")
    return [time_s - times_s[0] for time_s in times_s]


def _json_rows(lines: list[str], path: Path) -> Iterator[object]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigError(f"the trace {path}, line {number}: no JSON: {error}") from error


def _timestamps(rows: Iterable[object], path: Path) -> Iterator[float]:
    for number, row in enumerate(rows, 1):
        try:
            time_s = float(row[_COLUMN])  # type: ignore[index]  # what has no such field is caught
            if not math.isfinite(time_s):
                raise ValueError(time_s)
            yield time_s
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the trace {path}, record {number}: no number called {_COLUMN!r}. A trace is CSV with a"
                f' header, or JSONL such as {{"{_COLUMN}": 1.5}}; the times are seconds.'
            ) from error
